// SPDX-License-Identifier: Apache-2.0
// From a byte to the number the network was trained on: (value / max - mean) / std, as U^2-Net's recipe
// does it (Qin et al. 2020, and rembg), in double and rounded once to float32.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

/// Mean and standard deviation of one colour channel, values in 0..1.
struct ChannelStatistics {
  double mean;
  double std;
};

/// `max` is the largest byte of the resized picture, over all channels.
RMBG_HD float normalize_byte(std::uint8_t value, std::uint8_t max, ChannelStatistics statistics) {
  const double top = max > 0 ? static_cast<double>(max) : 1e-6;
  return static_cast<float>((static_cast<double>(value) / top - statistics.mean) / statistics.std);
}

}  // namespace rmbg
