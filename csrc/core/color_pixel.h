// SPDX-License-Identifier: Apache-2.0
// 8-bit colour arithmetic: the one rounding rule for products of bytes, and mixing.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

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
