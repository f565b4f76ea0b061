// SPDX-License-Identifier: Apache-2.0
// Activations in bfloat16: [row][column][channel], with a border that convolutions read instead of checking for edges.
// Each stored number is the value minus its channel's centre (the mean over a few images), so that small differences
// around a large mean survive 8 bits of mantissa. The border holds minus the centre: a value of 0.
#pragma once

#include <cstring>

#include "network/cpu/kernels_bf16.h"

namespace rmbg::cpu {

/// Pixels after a tensor's last one that may be read but are never used: a tile is always 16 pixels.
constexpr int kGuardPixels = kTilePixels;

/// Rounds to nearest, ties to even, as the CPU's instructions do; NaN stays NaN.
inline Bf16 to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return 0x7fc0;
  return static_cast<Bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float to_float(Bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// What rounding takes away.
inline float rounding_error(float value) { return value - to_float(to_bf16(value)); }

/// A view of an activation, or of a run of its channels.
struct Pixels {
  Bf16* corner;  // of the border; null where only the layout matters
  int height, width, border;
  std::ptrdiff_t pixel;  // values from a pixel to the next

  std::ptrdiff_t row() const { return (width + 2 * border) * pixel; }
  Bf16* at(int y, int x) const { return corner + (y + border) * row() + (x + border) * pixel; }
  Pixels from_channel(int channel) const {
    return {corner == nullptr ? nullptr : corner + channel, height, width, border, pixel};
  }
};

/// Writes `value` (of `channels`) into the border beside rows [begin, end), and above and below the first and the last.
inline void fill_border(const Pixels& pixels, const Bf16* value, int channels, int begin, int end) {
  const std::size_t bytes = static_cast<std::size_t>(channels) * sizeof(Bf16);
  const int border = pixels.border, outside = pixels.width + border;
  const int first = begin == 0 ? -border : begin, last = end == pixels.height ? end + border : end;
  for (int y = first; y < last; ++y) {
    const bool inside = y >= 0 && y < pixels.height;
    for (int x = -border; x < outside; ++x) {
      if (inside && x == 0) x = pixels.width;
      if (x < outside) std::memcpy(pixels.at(y, x), value, bytes);
    }
  }
}

}  // namespace rmbg::cpu
