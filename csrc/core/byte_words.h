// SPDX-License-Identifier: Apache-2.0
// Operations on four bytes in a word: one instruction each on a GPU (PTX ISA: shf, prmt, dp4a), plain C++ elsewhere.
// Byte 0 is the lowest, which comes first in memory.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

RMBG_HD std::uint32_t word_of(const std::uint8_t* bytes) {
  std::uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word |= static_cast<std::uint32_t>(bytes[i]) << 8 * i;
  return word;
}

RMBG_HD void bytes_of(std::uint32_t word, std::uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(word >> 8 * i);
}

/// The word that begins `bits` (0 to 31) into `low` and continues in `high`.
RMBG_HD std::uint32_t word_between(std::uint32_t low, std::uint32_t high, int bits) {
#if defined(__CUDA_ARCH__)
  return __funnelshift_r(low, high, static_cast<unsigned>(bits));
#else
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(high) << 32 | low) >> bits);
#endif
}

/// Hexadecimal digit i of `which` selects byte i of the result: 0 to 3 from `a`, 4 to 7 from `b`.
RMBG_HD std::uint32_t pick_bytes(std::uint32_t a, std::uint32_t b, std::uint32_t which) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(a, b, which);
#else
  const std::uint64_t both = static_cast<std::uint64_t>(b) << 32 | a;
  std::uint32_t picked = 0;
  for (int i = 0; i < 4; ++i) picked |= static_cast<std::uint32_t>(both >> 8 * (which >> 4 * i & 7u) & 255u) << 8 * i;
  return picked;
#endif
}

/// Transposes a 4 x 4 matrix of bytes: byte i of result k is byte k of word i.
RMBG_HD void transpose_bytes(const std::uint32_t* words, std::uint32_t* columns) {
  const std::uint32_t top_left = pick_bytes(words[0], words[1], 0x5140);
  const std::uint32_t top_right = pick_bytes(words[0], words[1], 0x7362);
  const std::uint32_t bottom_left = pick_bytes(words[2], words[3], 0x5140);
  const std::uint32_t bottom_right = pick_bytes(words[2], words[3], 0x7362);
  columns[0] = pick_bytes(top_left, bottom_left, 0x5410);
  columns[1] = pick_bytes(top_left, bottom_left, 0x7632);
  columns[2] = pick_bytes(top_right, bottom_right, 0x5410);
  columns[3] = pick_bytes(top_right, bottom_right, 0x7632);
}

/// sum + a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3.
RMBG_HD std::uint32_t add_products(std::uint32_t a, std::uint32_t b, std::uint32_t sum) {
#if defined(__CUDA_ARCH__)
  return __dp4a(a, b, sum);
#else
  for (int i = 0; i < 4; ++i) sum += (a >> 8 * i & 255u) * (b >> 8 * i & 255u);
  return sum;
#endif
}

/// The same with the bytes of `b` as signed numbers.
RMBG_HD std::int32_t add_signed_products(std::uint32_t a, std::uint32_t b, std::int32_t sum) {
#if defined(__CUDA_ARCH__)
  asm("dp4a.u32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
#else
  for (int i = 0; i < 4; ++i)
    sum += static_cast<std::int32_t>(a >> 8 * i & 255u) * static_cast<std::int8_t>(b >> 8 * i & 255u);
  return sum;
#endif
}

}  // namespace rmbg
