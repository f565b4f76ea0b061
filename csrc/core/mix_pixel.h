// SPDX-License-Identifier: Apache-2.0
// Clamping, interpolation between the cells of a coarse grid, and products and mixes of bytes with one rounding.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

/// The nearest sample inside [0, size).
RMBG_HD int clamp_index(int i, int size) { return i < 0 ? 0 : i >= size ? size - 1 : i; }

/// Two neighbouring cells and the share of the second.
struct LinearTap {
  int first;
  int second;
  float share;
};

/// The cells around sample i, with `scale` cells per sample; centres match, and the outermost cells extend to the
/// border.
RMBG_HD LinearTap linear_tap(int i, float scale, int cells) {
  const float at = (static_cast<float>(i) + 0.5f) * scale - 0.5f;
  if (!(at > 0.0f)) return {0, 0, 0.0f};
  const int first = static_cast<int>(at);
  if (first >= cells - 1) return {cells - 1, cells - 1, 0.0f};
  return {first, first + 1, at - static_cast<float>(first)};
}

RMBG_HD float mix(float a, float b, float share) { return a + (b - a) * share; }

/// Interpolates a plane with rows of `width` cells: down the columns first.
RMBG_HD float bilinear(const float* plane, int width, const LinearTap& along, const LinearTap& down) {
  const float* const above = plane + static_cast<std::int64_t>(down.first) * width;
  const float* const below = plane + static_cast<std::int64_t>(down.second) * width;
  const float first = mix(above[along.first], below[along.first], down.share);
  const float second = mix(above[along.second], below[along.second], down.share);
  return mix(first, second, along.share);
}

/// To the nearest byte; NaN gives 0.
RMBG_HD unsigned char to_byte(float value) {
  const float low = value > 0.0f ? value : 0.0f;
  const float inside = low < 255.0f ? low : 255.0f;
  return static_cast<unsigned char>(static_cast<int>(inside + 0.5f));
}

/// a * b / 255, rounded to nearest; exact for all bytes (Blinn, "Three Wrongs Make a Right", 1995).
RMBG_HD std::uint8_t multiply_bytes(std::uint8_t a, std::uint8_t b) {
  const unsigned t = static_cast<unsigned>(a) * b + 128u;
  return static_cast<std::uint8_t>((t + (t >> 8)) >> 8);
}

/// (front * alpha + back * (255 - alpha)) / 255, rounded once.
RMBG_HD std::uint8_t mix_bytes(std::uint8_t front, std::uint8_t back, std::uint8_t alpha) {
  const unsigned t = static_cast<unsigned>(front) * alpha + static_cast<unsigned>(back) * (255u - alpha) + 128u;
  return static_cast<std::uint8_t>((t + (t >> 8)) >> 8);
}

}  // namespace rmbg
