// SPDX-License-Identifier: Apache-2.0
// Reductions over whole buffers. They are ops of their own, never hidden inside another one.
#pragma once

#include <cstdint>

namespace rmbg {

struct MinMax {
  float min;
  float max;
};

/// The largest of `count` samples; 0 for none.
std::uint8_t max_value(const std::uint8_t* samples, std::int64_t count);

/// The smallest and the largest of `count` > 0 samples. NaNs are passed over; only NaNs give min > max.
MinMax min_max(const float* samples, std::int64_t count);

}  // namespace rmbg
