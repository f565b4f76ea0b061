// SPDX-License-Identifier: Apache-2.0
// NV12, as video decoders give it: a plane of luma and, below it, a plane of half the height whose rows hold U and V of
// two by two pixels each, by turns. It becomes an image in three colours; each chroma sample counts for its four
// pixels.
#pragma once

#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/nv12_pixel.h"

namespace rmbg {

/// The matrix of BT.601 or BT.709 with limited (16..235) or full range.
YuvMatrix bt601(bool full_range);
YuvMatrix bt709(bool full_range);

/// nv12: both planes as one gray image of the frame's width (even) and 3/2 of its height (even).
/// dst: kBgr8 or kRgb8, the frame's size. Nothing overlaps. Runs on all cores; allocates nothing.
void nv12_to_color(const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst, Stream stream);

}  // namespace rmbg
