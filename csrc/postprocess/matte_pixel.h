// SPDX-License-Identifier: Apache-2.0
// From the network's probability to an 8-bit matte: stretched between the image's extremes and truncated,
// as U^2-Net's recipe does it (rembg).
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

/// (value - min) / (max - min) in 0..1, as a truncated byte. A constant image (max <= min) and NaN give 0.
RMBG_HD std::uint8_t matte_byte(float value, float min, float max) {
  if (!(max > min)) return 0;
  const float unit = (value - min) / (max - min);
  if (!(unit > 0.0f)) return 0;
  return static_cast<std::uint8_t>((unit < 1.0f ? unit : 1.0f) * 255.0f);
}

}  // namespace rmbg
