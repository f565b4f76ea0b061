// SPDX-License-Identifier: Apache-2.0
// Separable resampling, bit-exact with Pillow 13: a pass along rows and one along columns, rounded to bytes in between.
// The passes are ops of their own, because pre- and postprocessing fuse different work into the second one.
#pragma once

#include <cstdint>

#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

/// `count` planes of bytes, each height rows of width samples without padding, one behind the other.
struct PlanesView {
  std::uint8_t* data = nullptr;
  int count = 0;
  int width = 0;
  int height = 0;

  std::uint8_t* row(int plane, int y) const { return data + (static_cast<std::int64_t>(plane) * height + y) * width; }
  std::int64_t bytes() const { return static_cast<std::int64_t>(count) * width * height; }
};

/// Along rows: interleaved image (any format) to planes of width table.out_size and the image's height.
/// Plane p takes byte plane_offset[p] of each pixel. dst must not overlap src. Runs on all cores.
void resample_rows(const ConstImageView& src, const ResampleTable& table, const int* plane_offset,
                   const PlanesView& dst, Stream stream);

/// Along columns: an image of height table.in_size to one of height table.out_size and the same format.
/// Runs on all cores.
void resample_columns(const ConstImageView& src, const ResampleTable& table, const ImageView& dst, Stream stream);

/// A whole image to planes, both passes in the plan's order. `between` holds
/// plan.between() pixels of max(dst.count, channels of src) bytes.
void resample(const ConstImageView& src, const ResamplePlan& plan, const int* plane_offset, std::uint8_t* between,
              const PlanesView& dst, Stream stream);

/// One output row of either pass, on the calling thread, for ops that use a row while it is in cache.
void resample_one_row(const ConstImageView& src, const ResampleTable& table, int y, std::uint8_t* dst);
void resample_one_column_row(const ConstImageView& src, const ResampleTable& table, int y, std::uint8_t* dst);

}  // namespace rmbg
