// SPDX-License-Identifier: Apache-2.0
// A slot's CUDA graphs: the network's, launched for every frame, and for each key the stages before and after it. Each
// is recorded once and then updated with every frame's addresses. Also measures the stages of a frame.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/cuda_graph.h"
#include "network/network.h"
#include "pipeline/cuda_frame.h"
#include "pipeline/cuda_stages.h"
#include "pipeline/frame_job.h"

namespace rmbg {

/// Belongs to a slot, whose stages and stream outlive it.
class CudaRecorder {
 public:
  CudaRecorder(std::shared_ptr<Network> network, const CudaStages& stages, cudaStream_t stream);

  /// Records the plan's graphs with this frame's addresses. If that fails there are none: the frame runs as plain
  /// launches, and some frames later recording is tried again.
  void record(CudaFramePlan& plan, const CudaTask& task);

  /// Updates the graphs with a frame's addresses. Returns false if one cannot take them; the graphs are useless then.
  bool change(CudaFramePlan& plan, const CudaTask& task);

  /// Runs the network on a stream: as one launch of its graph, which is recorded after the first run.
  void run_network(cudaStream_t stream);
  bool has_network_graph() const { return static_cast<bool>(network_exec_); }
  /// After a failure: the graph is recorded again.
  void forget_network() noexcept { network_exec_ = CudaGraphExec(); }

  /// Device times of a frame's stages for `repeats` runs. The network must be capturable.
  std::vector<StageTimes> measure(const CudaFramePlan& plan, const CudaTask& task, int repeats);

  /// See Slot::mode. Any thread may call it.
  std::string mode() const;

 private:
  void make_network_graph();
  FrameGraph make_graph(const StageRange& stages, const CudaFramePlan& plan, const CudaTask& task) const;
  void failed(Backoff& backoff, std::string& problem, const Error& error);
  void succeeded(Backoff& backoff, std::string& problem);

  std::shared_ptr<Network> network_;
  const CudaStages& stages_;
  cudaStream_t stream_;
  CudaGraphExec network_exec_;
  Backoff network_backoff_;
  bool warm_ = false;  // the network has run, so its lazy initialization is done
  mutable std::mutex problem_mutex_;
  std::string problem_of_network_, problem_of_frames_;  // why their graphs are missing, or empty
};

}  // namespace rmbg
