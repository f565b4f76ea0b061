// SPDX-License-Identifier: Apache-2.0
// Normalizes a byte as in U^2-Net's recipe (Qin et al. 2020, and rembg): (value / max - mean) / std, in double, rounded
// to float32; for float16 that is rounded again.
#pragma once

#include <cstdint>

#include "core/data_type.h"
#include "core/half_pixel.h"
#include "core/host_device.h"

namespace rmbg {

/// Mean and standard deviation of one colour channel, values in 0..1.
struct ChannelStatistics {
  double mean;
  double std;
};

/// `max` is the largest byte of the resized image, over all channels.
RMBG_HD float normalize_byte(std::uint8_t value, std::uint8_t max, ChannelStatistics statistics) {
  const double top = max > 0 ? static_cast<double>(max) : 1e-6;
  return static_cast<float>((static_cast<double>(value) / top - statistics.mean) / statistics.std);
}

/// A normalized value as a tensor stores it: a float, or the bits of a float16.
template <typename Number>
RMBG_HD Number to_number(float value);
template <>
RMBG_HD float to_number<float>(float value) {
  return value;
}
template <>
RMBG_HD std::uint16_t to_number<std::uint16_t>(float value) {
  return to_half(value);
}

/// The index of colour `color` of pixel `pixel` in a tensor of `pixels` pixels.
RMBG_HD std::int64_t tensor_index(Layout layout, std::int64_t pixels, std::int64_t pixel, int color) {
  return layout == Layout::kNchw ? color * pixels + pixel : pixel * 3 + color;
}

}  // namespace rmbg
