// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/multiversion.h"
#include "core/thread_pool.h"
#include "preprocess/nv12.h"

namespace rmbg {
namespace {

/// From the weights of red and blue in luma (ITU-R BT.601-7 and BT.709-6, items 3 and 4).
YuvMatrix matrix_of(double red, double blue, bool full_range) {
  const double green = 1.0 - red - blue;
  const double luma = full_range ? 1.0 : 255.0 / 219.0;
  const double chroma = full_range ? 1.0 : 255.0 / 224.0;
  const auto fixed = [](double factor) { return static_cast<std::int32_t>(std::lround(factor * (1 << 16))); };
  YuvMatrix matrix;
  matrix.black = full_range ? 0 : 16;
  matrix.luma = fixed(luma);
  matrix.red_v = fixed(2.0 * (1.0 - red) * chroma);
  matrix.blue_u = fixed(2.0 * (1.0 - blue) * chroma);
  matrix.green_u = fixed(2.0 * (1.0 - blue) * blue / green * chroma);
  matrix.green_v = fixed(2.0 * (1.0 - red) * red / green * chroma);
  return matrix;
}

RMBG_MULTIVERSION void color_row(const std::uint8_t* luma, const std::uint8_t* chroma, const YuvMatrix& matrix,
                                 bool bgr, int width, std::uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    std::uint8_t rgb[3];
    yuv_to_rgb(luma[x], chroma[x & ~1], chroma[x | 1], matrix, rgb);
    for (int c = 0; c < 3; ++c) out[x * 3 + c] = rgb[bgr ? 2 - c : c];
  }
}

}  // namespace

YuvMatrix bt601(bool full_range) { return matrix_of(0.299, 0.114, full_range); }
YuvMatrix bt709(bool full_range) { return matrix_of(0.2126, 0.0722, full_range); }

void nv12_to_color(const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst, Stream) {
  parallel_for(dst.height, rows_per_piece(dst.width), [&](std::int64_t begin, std::int64_t end) {
    for (int y = static_cast<int>(begin); y < end; ++y)
      color_row(nv12.row(y), nv12.row(dst.height + y / 2), matrix, dst.format == PixelFormat::kBgr8, dst.width,
                dst.row(y));
  });
}

}  // namespace rmbg
