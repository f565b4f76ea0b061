// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_recorder.h"

#include <utility>

#include "core/cuda_stream.h"
#include "core/error.h"

namespace rmbg {

CudaRecorder::CudaRecorder(std::shared_ptr<Network> network, const CudaStages& stages, cudaStream_t stream)
    : network_(std::move(network)), stages_(stages), stream_(stream) {
  if (!network_->capturable()) problem_of_network_ = network_->why_not_capturable();
}

void CudaRecorder::record(CudaFramePlan& plan, const CudaTask& task) {
  if (!plan.backoff.ready()) return;
  try {
    std::vector<FrameGraph> graphs;
    for (const StageRange& stages : kFrameGraphs) graphs.push_back(make_graph(stages, plan, task));
    plan.graphs = std::move(graphs);
  } catch (const Error& error) {
    failed(plan.backoff, problem_of_frames_, error);
  }
}

FrameGraph CudaRecorder::make_graph(const StageRange& stages, const CudaFramePlan& plan, const CudaTask& task) const {
  CudaGraph graph;
  std::vector<RecordedNode> nodes;
  CudaQueue queue(graph, nodes);
  stages_.put(stages, queue, plan, task);
  return {stages, CudaGraphExec(std::move(graph)), std::move(nodes)};
}

bool CudaRecorder::change(CudaFramePlan& plan, const CudaTask& task) {
  try {
    for (FrameGraph& graph : plan.graphs) {
      CudaQueue queue(graph.exec, graph.nodes);
      stages_.put(graph.stages, queue, plan, task);
    }
    succeeded(plan.backoff, problem_of_frames_);
    return true;
  } catch (const Error& error) {
    failed(plan.backoff, problem_of_frames_, error);
    return false;
  }
}

void CudaRecorder::make_network_graph() {
  if (!network_->capturable() || !network_backoff_.ready()) return;
  try {
    if (void* own = network_->graph()) {
      network_exec_ = CudaGraphExec(static_cast<cudaGraph_t>(own));
    } else if (warm_) {
      network_exec_ = CudaGraphExec(rmbg::record(stream_, [&] { network_->enqueue({stream_}); }));
    }
    if (network_exec_) succeeded(network_backoff_, problem_of_network_);
  } catch (const Error& error) {
    failed(network_backoff_, problem_of_network_, error);
  }
}

void CudaRecorder::run_network(cudaStream_t stream) {
  if (!network_exec_) make_network_graph();
  if (network_exec_) return network_exec_.launch(stream);
  network_->enqueue({stream});
  warm_ = true;
}

/// Events between the stages, inside the graphs, measure GPU time.
std::vector<StageTimes> CudaRecorder::measure(const CudaFramePlan& plan, const CudaTask& task, int repeats) {
  std::vector<CudaEvent> events;
  for (int i = 0; i <= kStages; ++i) events.emplace_back(/*timing=*/true);
  const auto graph_of = [&](Stage first, Stage last) {
    CudaGraph graph;
    std::vector<RecordedNode> nodes;
    CudaQueue queue(graph, nodes);
    for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
      graph.add_record(events[i].get());
      stages_.put(static_cast<Stage>(i), queue, plan, task);
    }
    graph.add_record(events[static_cast<int>(last) + 1].get());
    return CudaGraphExec(std::move(graph));
  };
  const CudaGraphExec before = graph_of(Stage::kCopyIn, Stage::kPreprocess);
  const CudaGraphExec after = graph_of(Stage::kCarryOver, Stage::kCopyOut);

  const auto between = [&](Stage first, Stage last) {
    const int from = static_cast<int>(first), to = static_cast<int>(last) + 1;
    float ms = 0;
    check(cudaEventElapsedTime(&ms, events[from].get(), events[to].get()), "reading the times of a frame");
    return static_cast<double>(ms);
  };
  std::vector<StageTimes> times;
  for (int i = 0; i < repeats; ++i) {
    before.launch(stream_);
    run_network(stream_);
    after.launch(stream_);
    check(cudaStreamSynchronize(stream_), "waiting for the GPU");
    times.push_back({between(Stage::kPreprocess, Stage::kPreprocess), between(Stage::kNetwork, Stage::kNetwork),
                     between(Stage::kCarryOver, Stage::kPostprocess), between(Stage::kCopyIn, Stage::kCopyOut),
                     between(Stage::kCopyIn, Stage::kCopyIn), between(Stage::kCopyOut, Stage::kCopyOut)});
  }
  return times;
}

void CudaRecorder::failed(Backoff& backoff, std::string& problem, const Error& error) {
  const int wait = backoff.fail();
  const std::lock_guard lock(problem_mutex_);
  problem = std::string(error.what()) + "; retries after " + std::to_string(wait) + (wait == 1 ? " frame" : " frames");
}

/// The problem may come from frames of another key, which may never appear again: it is cleared as well.
void CudaRecorder::succeeded(Backoff& backoff, std::string& problem) {
  backoff.succeed();
  const std::lock_guard lock(problem_mutex_);
  problem.clear();
}

std::string CudaRecorder::mode() const {
  const std::lock_guard lock(problem_mutex_);
  const std::string& problem = problem_of_network_.empty() ? problem_of_frames_ : problem_of_network_;
  return problem.empty() ? "graph" : "eager: " + problem;
}

}  // namespace rmbg
