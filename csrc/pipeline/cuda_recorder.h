// SPDX-License-Identifier: Apache-2.0
// Frames as CUDA graphs: making them, putting another frame's addresses into them, and one with events between its
// stages, to measure them.
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

  /// Makes the plan's graphs, with this frame's addresses. There are none where that fails; a few failures are taken
  /// for a reason to go without graphs from then on.
  void record(CudaFramePlan& plan, const CudaTask& task);

  /// Puts a frame's addresses into the graphs. False where one cannot take them (memory of another kind, say): the
  /// graphs are good for nothing then. Where that happens again and again, there are none from then on.
  bool change(CudaFramePlan& plan, const CudaTask& task);

  /// Puts the network on the slot's stream, for a frame without graphs: once it has run, as a graph of its own, one
  /// launch for the hundreds it may have. Frames of ever new sizes are such frames.
  void run_network();
  /// After a failure: that graph is made anew.
  void forget_network() noexcept;

  /// Device times of a frame's stages, of each of `repeats` runs. The network must be capturable.
  std::vector<StageTimes> measure(const CudaFramePlan& plan, const CudaTask& task, int repeats);

  /// See Slot::mode. Any thread may ask.
  std::string mode() const;

 private:
  template <typename Record>
  void try_to(Record&& record);
  FrameGraph record(const Leg& leg, const CudaFramePlan& plan, const CudaTask& task);
  cudaGraph_t network_graph();
  void set_mode(std::string mode);

  std::shared_ptr<Network> network_;
  const CudaStages& stages_;
  cudaStream_t stream_;
  CudaGraph recorded_{nullptr};      // the network's work, unless it has a graph of its own
  CudaGraphExec network_exec_;       // for frames without graphs
  bool warm_ = false;                // the network has run: what is lazy in it is done
  int failures_ = 0, refusals_ = 0;  // in a row, to record and to change
  mutable std::mutex mode_mutex_;
  std::string mode_ = "graph";
};

}  // namespace rmbg
