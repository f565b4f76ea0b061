// SPDX-License-Identifier: Apache-2.0
// NV12, as video decoders produce it, to colours. NV12 is a plane of luma above a plane of half the height, whose rows
// interleave U and V; each pair covers 2 x 2 pixels.
#pragma once

#include "core/api.h"
#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/nv12_pixel.h"

namespace rmbg {

class CudaQueue;

/// The matrix of BT.601 or BT.709 with limited (16..235) or full range.
RMBG_API YuvMatrix bt601(bool full_range);
RMBG_API YuvMatrix bt709(bool full_range);

/// nv12: both planes as one gray image of the frame's width (even) and 3/2 of its height (even).
/// dst: kBgr8 or kRgb8, the frame's size. Nothing overlaps. Runs on all cores; allocates nothing.
void nv12_to_color(const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst, Stream stream);
/// The same in GPU memory, with the same bytes.
void nv12_to_color(CudaQueue& queue, const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst);

}  // namespace rmbg
