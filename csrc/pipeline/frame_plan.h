// SPDX-License-Identifier: Apache-2.0
// Resampling tables, which depend on the frame's size only, for the sizes seen last.
#pragma once

#include <cstdint>
#include <vector>

#include "preprocess/resample_plan.h"

namespace rmbg {

/// The two resamplings of one frame size.
struct FramePlan {
  int width = 0;
  int height = 0;
  std::uint64_t last_use = 0;
  ResamplePlan to_network;
  ResamplePlan to_frame;
};

/// Plans by frame size; the one used longest ago makes room, and leaves its memory to the next.
class FramePlanCache {
 public:
  static constexpr int kCapacity = 8;

  FramePlanCache(ResampleFilter filter, Size network_input, Size network_output);

  /// Valid until the next call.
  const FramePlan& get(int width, int height);

 private:
  ResampleFilter filter_;
  Size network_input_, network_output_;
  std::uint64_t uses_ = 0;
  std::vector<FramePlan> plans_;
};

}  // namespace rmbg
