// SPDX-License-Identifier: Apache-2.0
// The compiler may not reorder float comparisons, so the lanes are written out for it to vectorize.
#include "core/reduce.h"

#include <algorithm>
#include <limits>

#include "core/multiversion.h"

namespace rmbg {

RMBG_MULTIVERSION std::uint8_t max_value(const std::uint8_t* samples, std::int64_t count) {
  std::uint8_t top = 0;
  for (std::int64_t i = 0; i < count; ++i) top = std::max(top, samples[i]);
  return top;
}

RMBG_MULTIVERSION MinMax min_max(const float* samples, std::int64_t count) {
  constexpr int kLanes = 16;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float low[kLanes], high[kLanes];
  std::fill_n(low, kLanes, kInfinity);
  std::fill_n(high, kLanes, -kInfinity);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      const float value = samples[i + lane];
      low[lane] = value < low[lane] ? value : low[lane];
      high[lane] = value > high[lane] ? value : high[lane];
    }
  for (; i < count; ++i) {
    low[0] = samples[i] < low[0] ? samples[i] : low[0];
    high[0] = samples[i] > high[0] ? samples[i] : high[0];
  }
  return {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
}

}  // namespace rmbg
