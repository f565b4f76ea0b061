// SPDX-License-Identifier: Apache-2.0
// One pixel from Y'CbCr to R'G'B' (ITU-R BT.601 and BT.709), in 16-bit fixed point, rounded once.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

/// Factors times 2^16. R = luma * (Y - black) + red_v * V, G = ... - green_u * U - green_v * V, B = ... + blue_u * U,
/// with U and V around 0.
struct YuvMatrix {
  std::int32_t black = 0;  // 16 for limited range
  std::int32_t luma = 0;
  std::int32_t red_v = 0, green_u = 0, green_v = 0, blue_u = 0;

  friend bool operator==(const YuvMatrix& a, const YuvMatrix& b) {
    return a.black == b.black && a.luma == b.luma && a.red_v == b.red_v && a.green_u == b.green_u &&
           a.green_v == b.green_v && a.blue_u == b.blue_u;
  }
};

/// rgb: three bytes, red first.
RMBG_HD void yuv_to_rgb(std::uint8_t y, std::uint8_t u, std::uint8_t v, const YuvMatrix& matrix, std::uint8_t* rgb) {
  const std::int32_t luma = (y - matrix.black) * matrix.luma + (1 << 15);
  const std::int32_t cb = u - 128, cr = v - 128;
  const std::int32_t sums[3] = {luma + matrix.red_v * cr, luma - matrix.green_u * cb - matrix.green_v * cr,
                                luma + matrix.blue_u * cb};
  for (int c = 0; c < 3; ++c) {
    const std::int32_t value = sums[c] >> 16;
    rgb[c] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

}  // namespace rmbg
