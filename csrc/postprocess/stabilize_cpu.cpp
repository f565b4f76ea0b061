// SPDX-License-Identifier: Apache-2.0
// Temporal stabilization on the CPU: the range around each cell along rows, then along columns, where it is used.
#include "postprocess/stabilize.h"

#include <algorithm>
#include <cstring>

#include "core/multiversion.h"
#include "core/thread_pool.h"
#include "postprocess/stabilize_pixel.h"

namespace rmbg {
namespace {

RMBG_MULTIVERSION std::int64_t sum_of_differences(const std::uint8_t* a, const std::uint8_t* b, std::int64_t count) {
  constexpr std::int64_t kPiece = 1 << 16;  // its sum fits 32 bits
  std::int64_t total = 0;
  for (std::int64_t begin = 0; begin < count; begin += kPiece) {
    const std::int64_t end = std::min(begin + kPiece, count);
    std::uint32_t sum = 0;
    for (std::int64_t i = begin; i < end; ++i)
      sum += static_cast<std::uint32_t>(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    total += sum;
  }
  return total;
}

RMBG_MULTIVERSION void widen(const float* low_in, const float* high_in, int count, float* low, float* high) {
  for (int x = 0; x < count; ++x) {
    low[x] = low_in[x] < low[x] ? low_in[x] : low[x];
    high[x] = high_in[x] > high[x] ? high_in[x] : high[x];
  }
}

RMBG_MULTIVERSION void stabilize_row(float* prediction, float* state, const float* low, const float* high, int width) {
  for (int x = 0; x < width; ++x) prediction[x] = state[x] = stabilized(prediction[x], state[x], low[x], high[x]);
}

void range_along_row(const float* row, int width, float* low, float* high) {
  std::copy_n(row, width, low);
  std::copy_n(row, width, high);
  const int reach = std::min(kStabilizeReach, width - 1);
  for (int d = 1; d <= reach; ++d) {
    widen(row + d, row + d, width - d, low, high);
    widen(row, row, width - d, low + d, high + d);
  }
}

}  // namespace

void stabilize(const TemporalFrame& frame, bool first, const TemporalState& state, float* scratch, Stream) {
  const auto [width, height] = frame.size;
  const std::int64_t area = static_cast<std::int64_t>(width) * height;
  const bool cut =
      first || sum_of_differences(frame.guide, state.guide, frame.guide_bytes) >= frame.guide_bytes * kSceneCut;
  std::memcpy(state.guide, frame.guide, static_cast<std::size_t>(frame.guide_bytes));
  if (cut) {
    std::copy_n(frame.prediction, area, state.matte);
    return;
  }
  float *const low_rows = scratch, *const high_rows = scratch + area;
  const int w = width, h = height;
  parallel_for(h, rows_per_piece(w), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      range_along_row(state.matte + y * w, w, low_rows + y * w, high_rows + y * w);
  });
  parallel_for(h, rows_per_piece(w), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      float *const low = scratch + 2 * area + y * w, *const high = low + area;
      std::copy_n(low_rows + y * w, w, low);
      std::copy_n(high_rows + y * w, w, high);
      for (std::int64_t other = std::max<std::int64_t>(0, y - kStabilizeReach);
           other <= std::min<std::int64_t>(h - 1, y + kStabilizeReach); ++other)
        widen(low_rows + other * w, high_rows + other * w, w, low, high);
      stabilize_row(frame.prediction + y * w, state.matte + y * w, low, high, w);
    }
  });
}

MinMax running_range(const TemporalFrame& frame, bool first, const TemporalState& state) {
  const MinMax now = min_max(frame.prediction, static_cast<std::int64_t>(frame.size.width) * frame.size.height);
  *state.range = followed_range(now, first ? MinMax{0.0f, 0.0f} : *state.range, first);
  return *state.range;
}

}  // namespace rmbg
