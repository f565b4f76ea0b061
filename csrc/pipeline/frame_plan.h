// SPDX-License-Identifier: Apache-2.0
// Resampling tables, which depend only on the frame's size, for the most recent sizes.
#pragma once

#include <algorithm>
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

/// Plans by frame size. A new plan replaces the least recently used one and reuses its memory.
class FramePlanCache {
 public:
  static constexpr int kCapacity = 8;

  FramePlanCache(ResampleFilter filter, Size network_input, Size network_output)
      : filter_(filter), network_input_(network_input), network_output_(network_output) {
    plans_.reserve(kCapacity);
  }

  /// Valid until the next call.
  const FramePlan& get(int width, int height) {
    ++uses_;
    for (FramePlan& plan : plans_)
      if (plan.width == width && plan.height == height) {
        plan.last_use = uses_;
        return plan;
      }
    const auto older = [](const FramePlan& a, const FramePlan& b) { return a.last_use < b.last_use; };
    FramePlan& plan =
        plans_.size() < kCapacity ? plans_.emplace_back() : *std::min_element(plans_.begin(), plans_.end(), older);
    plan.width = 0;  // not found again if build() throws
    plan.to_network.build(filter_, {width, height}, network_input_);
    plan.to_frame.build(filter_, network_output_, {width, height});
    plan.width = width;
    plan.height = height;
    plan.last_use = uses_;
    return plan;
  }

 private:
  ResampleFilter filter_;
  Size network_input_, network_output_;
  std::uint64_t uses_ = 0;
  std::vector<FramePlan> plans_;
};

}  // namespace rmbg
