// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_recorder.h"

#include <utility>

#include "core/cuda_stream.h"
#include "core/error.h"

namespace rmbg {
namespace {

constexpr int kFailures = 3;  // in a row, to record or to change, before a slot goes without graphs

std::vector<Leg> legs_of(const FrameKind& kind) {
  if (kind.stabilize || kind.running_stretch) return {kBeforeTurn, kAfterTurn};
  return {kWholeWay};
}

}  // namespace

CudaRecorder::CudaRecorder(std::shared_ptr<Network> network, const CudaStages& stages, cudaStream_t stream)
    : network_(std::move(network)), stages_(stages), stream_(stream) {
  if (!network_->capturable()) mode_ = "eager: the network cannot be recorded into a graph";
}

template <typename Record>
void CudaRecorder::try_to(Record&& record) {
  if (!network_->capturable() || failures_ == kFailures) return;
  try {
    record();
    failures_ = 0;
  } catch (const Error& error) {
    recorded_ = CudaGraph(nullptr);
    if (++failures_ == kFailures) set_mode(std::string("eager: ") + error.what());
  }
}

void CudaRecorder::record(CudaFramePlan& plan, const CudaTask& task) {
  if (refusals_ == kFailures) return;
  try_to([&] {
    std::vector<FrameGraph> graphs;
    for (const Leg& leg : legs_of(plan.kind)) graphs.push_back(record(leg, plan, task));
    plan.graphs = std::move(graphs);
  });
}

void CudaRecorder::run_network() {
  // Where recording failed, the next frame of a known kind shows whether that is over.
  if (!network_exec_ && failures_ == 0)
    try_to([&] {
      if (!warm_ && network_->graph() == nullptr) return;
      CudaGraph graph;
      graph.add_child(network_graph());
      network_exec_ = CudaGraphExec(std::move(graph));
    });
  if (network_exec_) {
    network_exec_.launch(stream_);
  } else {
    network_->enqueue({stream_});
    warm_ = true;
  }
}

FrameGraph CudaRecorder::record(const Leg& leg, const CudaFramePlan& plan, const CudaTask& task) {
  CudaGraph graph;
  std::vector<RecordedNode> nodes;
  CudaQueue queue(graph, nodes);
  stages_.put(leg, queue, plan, task, [&] { graph.add_child(network_graph()); });
  return {leg, CudaGraphExec(std::move(graph)), std::move(nodes)};
}

cudaGraph_t CudaRecorder::network_graph() {
  if (void* own = network_->graph()) return static_cast<cudaGraph_t>(own);
  if (recorded_.get() == nullptr) recorded_ = rmbg::record(stream_, [&] { network_->enqueue({stream_}); });
  return recorded_.get();
}

void CudaRecorder::forget_network() noexcept { network_exec_ = CudaGraphExec(); }

bool CudaRecorder::change(CudaFramePlan& plan, const CudaTask& task) {
  try {
    for (FrameGraph& graph : plan.graphs) {
      CudaQueue queue(graph.exec, graph.nodes);
      stages_.put(graph.leg, queue, plan, task, [] {});
    }
    refusals_ = 0;
    return true;
  } catch (const CudaError& error) {
    if (++refusals_ == kFailures) set_mode(std::string("eager: ") + error.what());
    return false;
  }
}

std::vector<StageTimes> CudaRecorder::measure(const CudaFramePlan& plan, const CudaTask& task, int repeats) {
  std::vector<CudaEvent> events;
  for (int i = 0; i <= kStages; ++i) events.emplace_back(/*timing=*/true);
  CudaGraph graph;
  std::vector<RecordedNode> nodes;
  CudaQueue queue(graph, nodes);
  for (int i = 0; i < kStages; ++i) {
    const auto stage = static_cast<Stage>(i);
    graph.add_record(events[i].get());
    stages_.put({stage, stage}, queue, plan, task, [&] { graph.add_child(network_graph()); });
  }
  graph.add_record(events[kStages].get());
  const CudaGraphExec exec(std::move(graph));

  const auto between = [&](Stage first, Stage last) {
    const int from = static_cast<int>(first), to = static_cast<int>(last) + 1;
    float ms = 0;
    check(cudaEventElapsedTime(&ms, events[from].get(), events[to].get()), "reading the times of a frame");
    return static_cast<double>(ms);
  };
  std::vector<StageTimes> times;
  for (int i = 0; i < repeats; ++i) {
    exec.launch(stream_);
    check(cudaStreamSynchronize(stream_), "waiting for the GPU");
    times.push_back({between(Stage::kPreprocess, Stage::kPreprocess), between(Stage::kNetwork, Stage::kNetwork),
                     between(Stage::kCarryOver, Stage::kPostprocess), between(Stage::kCopyIn, Stage::kCopyOut),
                     between(Stage::kCopyIn, Stage::kCopyIn), between(Stage::kCopyOut, Stage::kCopyOut)});
  }
  return times;
}

std::string CudaRecorder::mode() const {
  const std::lock_guard lock(mode_mutex_);
  return mode_;
}

void CudaRecorder::set_mode(std::string mode) {
  const std::lock_guard lock(mode_mutex_);
  mode_ = std::move(mode);
}

}  // namespace rmbg
