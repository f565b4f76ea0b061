// SPDX-License-Identifier: Apache-2.0
// A linear search: eight entries, and a frame takes milliseconds.
#include "pipeline/frame_plan.h"

#include <algorithm>

namespace rmbg {

FramePlanCache::FramePlanCache(ResampleFilter filter, int input_width, int input_height, int output_width,
                               int output_height)
    : filter_(filter),
      input_width_(input_width),
      input_height_(input_height),
      output_width_(output_width),
      output_height_(output_height) {
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
  FramePlan& plan = plans_.size() < kCapacity ? plans_.emplace_back()
                                              : *std::min_element(plans_.begin(), plans_.end(), older);
  plan.width = 0;  // not found again if build() throws
  plan.shrink_columns.build(filter_, width, input_width_);
  plan.shrink_rows.build(filter_, height, input_height_);
  plan.enlarge_columns.build(filter_, output_width_, width);
  plan.enlarge_rows.build(filter_, output_height_, height);
  plan.width = width;
  plan.height = height;
  plan.last_use = uses_;
  return plan;
}

}  // namespace rmbg
