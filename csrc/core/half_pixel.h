// SPDX-License-Identifier: Apache-2.0
// IEEE 754 half precision with integer arithmetic only, so that CPU and GPU agree to the bit.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.h"

namespace rmbg {

/// The value of a float16 from its bits; exact.
RMBG_HD float from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  std::uint32_t fraction = half & 0x3ffu;
  std::uint32_t bits = sign;
  if (exponent == 31u) {
    bits |= 0x7f800000u | fraction << 13;
  } else if (exponent != 0u) {
    bits |= (exponent + 112u) << 23 | fraction << 13;
  } else if (fraction != 0u) {  // subnormal: shift until the leading one becomes the hidden bit
    std::uint32_t shifted = 113u;
    while ((fraction & 0x400u) == 0u) {
      fraction <<= 1;
      --shifted;
    }
    bits |= shifted << 23 | (fraction & 0x3ffu) << 13;
  }
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/// The nearest float16, ties to even; overflow gives infinity.
RMBG_HD std::uint16_t to_half(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);   // NaN
  if (bits >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520 and more
  if (bits < 0x33000001u) return static_cast<std::uint16_t>(sign);             // 2^-25 and less
  const std::uint32_t exponent = bits >> 23;
  const std::uint32_t lost = exponent >= 113u ? 13u : 126u - exponent;  // fraction bits that half cannot hold
  const std::uint32_t whole =
      exponent >= 113u ? bits - (112u << 23) : (bits & 0x7fffffu) | 0x800000u;  // rebased, or as a fixed-point number
  const std::uint32_t odd = whole >> lost & 1u;
  return static_cast<std::uint16_t>(sign | (whole + (1u << (lost - 1u)) - 1u + odd) >> lost);
}

}  // namespace rmbg
