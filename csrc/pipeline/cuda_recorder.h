// SPDX-License-Identifier: Apache-2.0
// CUDA graphs of a slot: one of the network, launched for every frame, and those of what each key needs before and
// after it. Each is made once; another frame's addresses are put into it. Events in such graphs measure a frame's
// stages.
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

/// Of a slot, whose stages and stream live longer.
class CudaRecorder {
 public:
  CudaRecorder(std::shared_ptr<Network> network, const CudaStages& stages, cudaStream_t stream);

  /// Makes the plan's graphs, with this frame's addresses. Where that fails there are none: the frame runs as plain
  /// launches, and after some more of them the graphs are tried again.
  void record(CudaFramePlan& plan, const CudaTask& task);

  /// Puts a frame's addresses into the graphs. False where one cannot take them: the graphs are useless then.
  bool change(CudaFramePlan& plan, const CudaTask& task);

  /// Puts the network on a stream: as one launch of its graph, which is made once the network has run.
  void run_network(cudaStream_t stream);
  bool has_network_graph() const { return static_cast<bool>(network_exec_); }
  /// After a failure: its graph is made anew.
  void forget_network() noexcept { network_exec_ = CudaGraphExec(); }

  /// Device times of a frame's stages, of each of `repeats` runs. The network must be capturable.
  std::vector<StageTimes> measure(const CudaFramePlan& plan, const CudaTask& task, int repeats);

  /// See Slot::mode. Any thread may ask.
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
  bool warm_ = false;  // the network has run: what is lazy in it is done
  mutable std::mutex problem_mutex_;
  std::string problem_of_network_, problem_of_frames_;  // why graphs of these are missing, or empty
};

}  // namespace rmbg
