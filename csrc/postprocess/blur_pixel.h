// SPDX-License-Identifier: Apache-2.0
// The Gaussian blur as three box blurs (Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by
// extended box filtering"), in Pillow's 24-bit fixed point, so that it is bit-exact with ImageFilter.GaussianBlur.
#pragma once

#include <cstdint>

#include "core/mix_pixel.h"

namespace rmbg {

constexpr int kBoxPasses = 3;

/// A box of fractional radius: 2 * radius + 1 full samples and one more at each end of lower weight.
struct BoxKernel {
  int radius;
  std::uint32_t weight;      // of a full sample, 24-bit fixed point
  std::uint32_t end_weight;  // of the sample at each end
};

/// sum: of the full samples. ends: the two end samples added.
RMBG_HD std::uint8_t box_blur_pixel(std::uint32_t sum, std::uint32_t ends, const BoxKernel& kernel) {
  return static_cast<std::uint8_t>((sum * kernel.weight + ends * kernel.end_weight + (1u << 23)) >> 24);
}

/// A pixel's colours weighted by 255 - alpha, and that weight.
template <int kChannels>
RMBG_HD void weighted_pixel(const std::uint8_t* pixel, std::uint8_t alpha, std::uint8_t* out) {
  const auto weight = static_cast<std::uint8_t>(255 - alpha);
  for (int c = 0; c < 3; ++c) out[c] = multiply_bytes(pixel[kChannels == 1 ? 0 : c], weight);
  out[3] = weight;
}

/// The colour of a weighted sum; 0 if there is no weight.
RMBG_HD std::uint8_t unweighted(std::uint8_t sum, std::uint8_t weight) {
  const unsigned divisor = weight == 0 ? 1u : weight;
  const unsigned color = (sum * 255u + divisor / 2u) / divisor;
  return static_cast<std::uint8_t>(weight == 0 ? 0u : color < 255u ? color : 255u);
}

}  // namespace rmbg
