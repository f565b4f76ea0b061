// SPDX-License-Identifier: Apache-2.0
// Frame to network input: resize to the network's size (bit-exact with Pillow), colour order, division by the
// picture's maximum, normalisation, interleaved to planar.
#pragma once

#include <array>
#include <cstdint>

#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/normalize_pixel.h"
#include "preprocess/resample.h"

namespace rmbg {

/// Red, green, blue.
using Normalization = std::array<ChannelStatistics, 3>;

/// ImageNet's statistics, which U^2-Net was trained with.
constexpr Normalization kImageNetNormalization{{{0.485, 0.229}, {0.456, 0.224}, {0.406, 0.225}}};

/// Everything preprocess() works with, sized for one frame; owned by the caller.
struct PreprocessWorkspace {
  const ResampleTable* columns_to_width;  // table along rows: frame width -> network width
  const ResampleTable* rows_to_height;    // table along columns: frame height -> network height
  std::uint8_t* narrowed;                 // 3 * frame height * network width bytes
  std::uint8_t* resized;                  // 3 * network height * network width bytes
};

/// frame: any format, any pitch, at least 1 x 1; alpha is not looked at, gray counts for all three colours.
/// tensor: (3, network height, network width) float32, planes red, green, blue.
/// Nothing may overlap. Runs on all cores; allocates nothing.
void preprocess(const ConstImageView& frame, const Normalization& normalization, const PreprocessWorkspace& workspace,
                float* tensor, Stream stream);

}  // namespace rmbg
