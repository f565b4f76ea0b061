// SPDX-License-Identifier: Apache-2.0
// What depends on a frame's size only, kept for the sizes seen last.
#pragma once

#include <cstdint>
#include <vector>

#include "preprocess/resample_table.h"

namespace rmbg {

/// The four resampling tables of one frame size.
struct FramePlan {
  int width = 0;
  int height = 0;
  std::uint64_t last_use = 0;
  ResampleTable shrink_columns, shrink_rows;    // frame -> network
  ResampleTable enlarge_columns, enlarge_rows;  // network -> frame
};

/// Plans by frame size; the one used longest ago makes room, and leaves its memory to the next.
class FramePlanCache {
 public:
  static constexpr int kCapacity = 8;

  FramePlanCache(ResampleFilter filter, int input_width, int input_height, int output_width, int output_height);

  /// Valid until the next call.
  const FramePlan& get(int width, int height);

 private:
  ResampleFilter filter_;
  int input_width_, input_height_, output_width_, output_height_;
  std::uint64_t uses_ = 0;
  std::vector<FramePlan> plans_;
};

}  // namespace rmbg
