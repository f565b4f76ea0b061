// SPDX-License-Identifier: Apache-2.0
// From the network's probability to a byte of matte, as in U^2-Net's recipe (rembg), and from a frame's pixel and its
// alpha to one pixel of each output (Porter & Duff 1984). Channel order is the frame's; gray counts as three equal
// colours.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/mix_pixel.h"

namespace rmbg {

/// (value - min) / (max - min) in 0..1, as a truncated byte. A constant image (max <= min) and NaN give 0.
RMBG_HD std::uint8_t matte_byte(float value, float min, float max) {
  if (!(max > min)) return 0;
  const float unit = (value - min) / (max - min);
  if (!(unit > 0.0f)) return 0;
  return static_cast<std::uint8_t>((unit < 1.0f ? unit : 1.0f) * 255.0f);
}

/// The matte under the frame's own alpha, when it has four channels.
template <int kChannels>
RMBG_HD std::uint8_t effective_alpha(const std::uint8_t* pixel, std::uint8_t matte) {
  return kChannels == 4 ? multiply_bytes(matte, pixel[kChannels - 1]) : matte;
}

template <int kChannels>
RMBG_HD std::uint8_t color_of(const std::uint8_t* pixel, int c) {
  return pixel[kChannels == 1 ? 0 : c];
}

/// out: 3 colours and alpha. Straight: the frame's colours as they are. Premultiplied: colours times alpha.
template <int kChannels, bool kPremultiplied>
RMBG_HD void cutout_pixel(const std::uint8_t* pixel, std::uint8_t matte, std::uint8_t* out) {
  const std::uint8_t alpha = effective_alpha<kChannels>(pixel, matte);
  for (int c = 0; c < 3; ++c) {
    const std::uint8_t color = color_of<kChannels>(pixel, c);
    out[c] = kPremultiplied ? multiply_bytes(color, alpha) : color;
  }
  out[3] = alpha;
}

/// out: 3 colours, the frame over `back`.
template <int kChannels>
RMBG_HD void composite_pixel(const std::uint8_t* pixel, std::uint8_t matte, const std::uint8_t* back,
                             std::uint8_t* out) {
  const std::uint8_t alpha = effective_alpha<kChannels>(pixel, matte);
  for (int c = 0; c < 3; ++c) out[c] = mix_bytes(color_of<kChannels>(pixel, c), back[c], alpha);
}

}  // namespace rmbg
