// SPDX-License-Identifier: Apache-2.0
// One resampled sample: the 8-bit fixed-point sum of Pillow's resampler (Pillow, src/libImaging/Resample.c,
// described in its documentation of Image.resize): 22-bit weights, one rounding, clipped to a byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

constexpr int kWeightBits = 22;  // 32 - 8 bits of sample - 2 bits of headroom for negative lobes

/// The sum to start from: half a unit, so that the shift rounds.
constexpr std::int32_t kRoundHalf = 1 << (kWeightBits - 1);

RMBG_HD std::uint8_t clip_to_byte(std::int32_t value) {
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

/// A finished fixed-point sum as a byte.
RMBG_HD std::uint8_t round_sum(std::int32_t sum) { return clip_to_byte(sum >> kWeightBits); }

/// Weighted sum of `count` samples that lie `step_bytes` apart.
RMBG_HD std::uint8_t resample_pixel(const std::uint8_t* samples, std::ptrdiff_t step_bytes, const std::int32_t* weights,
                                    int count) {
  std::int32_t sum = kRoundHalf;
  for (int tap = 0; tap < count; ++tap) sum += samples[tap * step_bytes] * weights[tap];
  return round_sum(sum);
}

}  // namespace rmbg
