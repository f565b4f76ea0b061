// SPDX-License-Identifier: Apache-2.0
// One frame in flight: a network instance and every buffer a frame needs. Buffers only grow, so a slot that
// has seen its largest frame allocates nothing.
#pragma once

#include <memory>

#include "core/buffer.h"
#include "network/network.h"
#include "pipeline/frame_job.h"
#include "pipeline/frame_plan.h"

namespace rmbg {

class Slot {
 public:
  /// Checks the network's shapes (std::invalid_argument) and binds its tensors.
  Slot(std::shared_ptr<Network> network, const PipelineOptions& options);

  /// Runs a checked job to its end. After an exception the slot is as good as before.
  StageTimes process(const FrameJob& job);

 private:
  void preprocess_frame(const FrameJob& job, const FramePlan& plan);
  void postprocess_frame(const FrameJob& job, const FramePlan& plan);
  Background blurred(const FrameJob& job);

  std::shared_ptr<Network> network_;
  PipelineOptions options_;
  Stream stream_;
  FramePlanCache plans_;
  Buffer tensor_, prediction_;
  Buffer resample_between_, resized_;
  Buffer matte_, alpha_between_, alpha_rows_;
  Buffer blur_, blur_scratch_;
};

}  // namespace rmbg
