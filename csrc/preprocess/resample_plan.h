// SPDX-License-Identifier: Apache-2.0
// A resampling of a whole image: a table for each axis, and which axis comes first. The order matters to the
// bit, because the result of the first pass is rounded to bytes.
#pragma once

#include "preprocess/resample_table.h"

namespace rmbg {

struct Size {
  int width;
  int height;
};

struct ResamplePlan {
  /// Replaces the contents; reuses the memory.
  void build(ResampleFilter filter, Size in, Size out) {
    along_x.build(filter, in.width, out.width);
    along_y.build(filter, in.height, out.height);
    // Pillow 13 starts with the columns when that makes the image smaller sooner; before version 13 it always
    // started with the rows. Found by experiment (tests/preprocess/test_resample.py holds us to it).
    columns_first = out.height < in.height && 2 * (in.width - out.width) < in.height - out.height;
  }

  Size in() const { return {along_x.in_size, along_y.in_size}; }
  Size out() const { return {along_x.out_size, along_y.out_size}; }
  /// Of the image between the passes.
  Size between() const {
    return columns_first ? Size{along_x.in_size, along_y.out_size} : Size{along_x.out_size, along_y.in_size};
  }

  ResampleTable along_x;  // weights of the pass along rows
  ResampleTable along_y;  // weights of the pass along columns
  bool columns_first = false;
};

}  // namespace rmbg
