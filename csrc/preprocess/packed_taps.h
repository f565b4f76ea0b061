// SPDX-License-Identifier: Apache-2.0
// Resampling weights for sums of byte products. A 22-bit weight is low + 2^8 middle + 2^16 high with signed high, so
// three exact sums over bytes give the exact weighted sum, at four samples per instruction.
#pragma once

#include <cstdint>

#include "core/byte_words.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {

constexpr int kPackedTaps = 4;

/// Four neighbouring weights. Sixteen bytes, for one read.
struct alignas(16) PackedTaps {
  std::uint32_t low, middle, high, unused;
};

/// Groups for so many weights.
constexpr int packed_groups(int taps) { return (taps + kPackedTaps - 1) / kPackedTaps; }

/// Weights first to first + 3 of `count`, zero outside. Each is in -2^23..2^23-1, as all weights of resample_plan.h
/// are.
inline PackedTaps pack_taps(const std::int32_t* weights, int count, int first) {
  PackedTaps packed{};
  for (int i = 0; i < kPackedTaps; ++i) {
    const bool inside = first + i >= 0 && first + i < count;
    const auto bits = inside ? static_cast<std::uint32_t>(weights[first + i]) : 0u;
    packed.low |= (bits & 255u) << 8 * i;
    packed.middle |= (bits >> 8 & 255u) << 8 * i;
    packed.high |= (bits >> 16 & 255u) << 8 * i;
  }
  return packed;
}

/// A weighted sum of bytes in progress; the result equals resample_pixel()'s.
struct PackedSum {
  std::uint32_t low = 0, middle = 0;
  std::int32_t high = 0;

  RMBG_HD void add(std::uint32_t samples, const PackedTaps& taps) {
    low = add_products(samples, taps.low, low);
    middle = add_products(samples, taps.middle, middle);
    high = add_signed_products(samples, taps.high, high);
  }
  RMBG_HD std::uint8_t rounded() const {
    const std::uint32_t sum = low + (middle << 8) + (static_cast<std::uint32_t>(high) << 16);
    return round_sum(static_cast<std::int32_t>(sum + static_cast<std::uint32_t>(kRoundHalf)));
  }
};

/// Splits the words of four neighbouring pixels into one word per colour. Alpha is dropped.
template <int kChannels>
struct FourPixels;

template <>
struct FourPixels<1> {
  static constexpr int kPlanes = 1;
  static RMBG_HD void split(const std::uint32_t* words, std::uint32_t* planes) { planes[0] = words[0]; }
};

template <>
struct FourPixels<3> {
  static constexpr int kPlanes = 3;
  static RMBG_HD void split(const std::uint32_t* words, std::uint32_t* planes) {
    planes[0] = pick_bytes(pick_bytes(words[0], words[1], 0x0630), words[2], 0x5210);
    planes[1] = pick_bytes(pick_bytes(words[0], words[1], 0x0741), words[2], 0x6210);
    planes[2] = pick_bytes(pick_bytes(words[0], words[1], 0x0052), words[2], 0x7410);
  }
};

template <>
struct FourPixels<4> {
  static constexpr int kPlanes = 3;
  static RMBG_HD void split(const std::uint32_t* words, std::uint32_t* planes) {
    std::uint32_t columns[4];
    transpose_bytes(words, columns);
    for (int plane = 0; plane < kPlanes; ++plane) planes[plane] = columns[plane];
  }
};

/// Resamples four neighbouring columns from rows `pitch_bytes` apart: one byte each.
RMBG_HD std::uint32_t resample_four(const std::uint8_t* window, std::int64_t pitch_bytes, const PackedTaps* taps,
                                    int groups) {
  PackedSum sum[4];
#if defined(__CUDA_ARCH__)
#pragma unroll 2
#endif
  for (; groups > 0; --groups) {
    const PackedTaps weights = *taps++;
    std::uint32_t rows[kPackedTaps], columns[4];
    for (int tap = 0; tap < kPackedTaps; ++tap, window += pitch_bytes)
      rows[tap] = *reinterpret_cast<const std::uint32_t*>(window);
    transpose_bytes(rows, columns);
    for (int i = 0; i < 4; ++i) sum[i].add(columns[i], weights);
  }
  std::uint8_t samples[4];
  for (int i = 0; i < 4; ++i) samples[i] = sum[i].rounded();
  return word_of(samples);
}

}  // namespace rmbg
