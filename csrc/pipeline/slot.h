// SPDX-License-Identifier: Apache-2.0
// One frame in flight: a network instance and every buffer a frame needs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "network/network.h"
#include "pipeline/frame_job.h"

namespace rmbg {

/// Calls never overlap on a slot. It stays usable after an exception.
class Slot {
 public:
  virtual ~Slot() = default;

  /// Runs a checked job to its end or, if its frame is in GPU memory, puts it on the job's stream. Passes the turn on
  /// as early as possible.
  virtual StageTimes process(const FrameJob& job, TrackTurn& turn) = 0;

  /// On a GPU: device times of the stages, for `repeats` more frames like the last one. Empty on the CPU, or if the
  /// network cannot be recorded.
  virtual std::vector<StageTimes> measure(int repeats) = 0;

  /// How frames run: "cpu", "graph", or "eager: " with the reason and when a graph is tried again.
  virtual std::string mode() const = 0;
};

/// Both check the network's shapes (std::invalid_argument) and bind its tensors.
std::unique_ptr<Slot> make_cpu_slot(std::shared_ptr<Network> network, const PipelineOptions& options);
/// Throws UnavailableError in a build without CUDA, CudaError.
std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network> network, const PipelineOptions& options);

/// Throws std::invalid_argument unless the network maps (1, 3, H, W) to (1, 1, h, w).
const NetworkSpec& check_shapes(const NetworkSpec& spec);
Size input_size(const NetworkSpec& spec);
Size output_size(const NetworkSpec& spec);

}  // namespace rmbg
