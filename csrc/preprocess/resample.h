// SPDX-License-Identifier: Apache-2.0
// Separable resampling, bit-exact with Pillow: first along rows, then along columns, rounded to bytes
// in between. The two passes are ops of their own, because preprocessing and postprocessing each fuse
// something different into them.
#pragma once

#include <cstdint>

#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/resample_table.h"

namespace rmbg {

/// `count` planes of bytes, each height rows of width samples without padding, one behind the other.
struct PlanesView {
  std::uint8_t* data = nullptr;
  int count = 0;
  int width = 0;
  int height = 0;

  std::uint8_t* row(int plane, int y) const {
    return data + (static_cast<std::int64_t>(plane) * height + y) * width;
  }
  std::int64_t bytes() const { return static_cast<std::int64_t>(count) * width * height; }
};

/// Along rows: interleaved frame (any format) to planes of width table.out_size and the frame's height.
/// Plane p takes byte plane_offset[p] of each pixel. dst must not overlap src. Runs on all cores.
void resample_rows(const ConstImageView& src, const ResampleTable& table, const int* plane_offset,
                   const PlanesView& dst, Stream stream);

/// Along columns: planes of height table.in_size to planes of height table.out_size. Runs on all cores.
void resample_columns(const PlanesView& src, const ResampleTable& table, const PlanesView& dst, Stream stream);

/// One row of the pass along columns, on the calling thread, for ops that use the row while it is in cache.
void resample_column_row(const PlanesView& src, int plane, const ResampleTable& table, int y, std::uint8_t* dst);

}  // namespace rmbg
