// SPDX-License-Identifier: Apache-2.0
// A linear search is enough: there are eight entries, and a frame takes milliseconds.
#include "pipeline/frame_plan.h"

#include <algorithm>

namespace rmbg {

FramePlanCache::FramePlanCache(ResampleFilter filter, Size network_input, Size network_output)
    : filter_(filter), network_input_(network_input), network_output_(network_output) {
  plans_.reserve(kCapacity);
}

const FramePlan& FramePlanCache::get(int width, int height) {
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

}  // namespace rmbg
