// SPDX-License-Identifier: Apache-2.0
// One frame in flight: a network instance and every buffer a frame needs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "network/network.h"
#include "pipeline/frame_job.h"

namespace rmbg {

/// Calls never overlap on a slot. After an exception it is as good as before.
class Slot {
 public:
  virtual ~Slot() = default;

  /// Runs a checked job: to its end, or, when its frame is in GPU memory, onto the job's stream. Its turn on its track
  /// is passed on as soon as the frame has had it.
  virtual StageTimes process(const FrameJob& job, TrackTurn& turn) = 0;

  /// On a GPU: device times of `repeats` more frames like the last one, each stage between events. None on the CPU, or
  /// where the network cannot be recorded.
  virtual std::vector<StageTimes> measure(int repeats) = 0;

  /// How frames run: "cpu", "graph", or "eager", why, and after how many frames a graph is tried again.
  virtual std::string mode() const = 0;
};

/// Both check the network's shapes (std::invalid_argument) and bind its tensors.
std::unique_ptr<Slot> make_cpu_slot(std::shared_ptr<Network> network, const PipelineOptions& options);
/// Throws UnavailableError in a build without CUDA, CudaError.
std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network> network, const PipelineOptions& options);

/// What both need of a network: (1, 3, H, W) and (1, 1, h, w), or std::invalid_argument.
const NetworkSpec& check_shapes(const NetworkSpec& spec);
Size input_size(const NetworkSpec& spec);
Size output_size(const NetworkSpec& spec);

}  // namespace rmbg
