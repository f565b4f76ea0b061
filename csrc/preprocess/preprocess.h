// SPDX-License-Identifier: Apache-2.0
// Frame to network input: resize to the network's size (bit-exact with Pillow), colour order, division by the
// image's maximum, normalisation, written in the type and layout that the network reads.
#pragma once

#include <array>
#include <cstdint>

#include "core/data_type.h"
#include "core/image_view.h"
#include "core/stream.h"
#include "preprocess/normalize_pixel.h"
#include "preprocess/resample.h"

namespace rmbg {

/// Red, green, blue.
using Normalization = std::array<ChannelStatistics, 3>;

/// ImageNet's statistics, which U^2-Net was trained with.
constexpr Normalization kImageNetNormalization{{{0.485, 0.229}, {0.456, 0.224}, {0.406, 0.225}}};

/// The memory of preprocess(), sized for one frame; owned by the caller.
struct PreprocessWorkspace {
  const ResamplePlan* plan;  // frame size -> network size
  std::uint8_t* between;     // preprocess_between_bytes()
  std::uint8_t* resized;     // 3 * network height * network width bytes
};

/// How the network reads its input.
struct TensorFormat {
  DataType dtype = DataType::kFloat32;
  Layout layout = Layout::kNchw;
};

/// Bytes between the two passes of the resampling, for a frame of this many channels.
inline std::int64_t preprocess_between_bytes(const ResamplePlan& plan, int frame_channels) {
  const Size size = plan.between();
  return static_cast<std::int64_t>(size.width) * size.height * (frame_channels > 3 ? frame_channels : 3);
}

/// frame: any format, any pitch, at least 1 x 1; alpha is ignored, gray counts for all three colours.
/// tensor: float32 or float16, of 3 * network height * network width values in the order red, green, blue: planes
/// (kNchw) or pixels (kNhwc). float16 is the float32 value rounded to nearest even.
/// Nothing may overlap. Runs on all cores; allocates nothing.
void preprocess(const ConstImageView& frame, const Normalization& normalization, const PreprocessWorkspace& workspace,
                const TensorFormat& format, void* tensor, Stream stream);

}  // namespace rmbg
