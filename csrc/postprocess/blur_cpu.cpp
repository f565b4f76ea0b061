// SPDX-License-Identifier: Apache-2.0
// Blur on the CPU with running sums, so that the cost does not depend on the radius. A row is blurred three times in a
// line buffer; down the columns a strip of columns moves together, which vectorizes.
#include <algorithm>
#include <cmath>

#include "core/multiversion.h"
#include "core/thread_pool.h"
#include "postprocess/blur.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;
constexpr int kStrip = 48;  // samples side by side in the pass along columns

/// One box pass over a line of `size` samples, `step` samples apart, for kLanes neighbouring lines at once.
template <int kLanes>
RMBG_MULTIVERSION void box_line(const std::uint8_t* in, std::uint8_t* out, int size, std::int64_t step,
                                const BoxKernel& kernel) {
  const auto at = [&](int i) { return in + clamp_index(i, size) * step; };
  std::uint32_t sum[kLanes] = {};
  for (int i = -kernel.radius; i <= kernel.radius; ++i)
    for (int lane = 0; lane < kLanes; ++lane) sum[lane] += at(i)[lane];
  for (int i = 0; i < size; ++i) {
    const std::uint8_t* before = at(i - kernel.radius - 1);
    const std::uint8_t* after = at(i + kernel.radius + 1);
    const std::uint8_t* leaving = at(i - kernel.radius);
    std::uint8_t* result = out + i * step;
    for (int lane = 0; lane < kLanes; ++lane) {
      result[lane] = box_blur_pixel(sum[lane], before[lane] + after[lane], kernel);
      sum[lane] += after[lane] - leaving[lane];
    }
  }
}

/// Three passes between two lines; the result is in b.
template <int kLanes>
void box_passes(std::uint8_t* a, std::uint8_t* b, int size, std::int64_t step, const BoxKernel& kernel) {
  static_assert(kBoxPasses == 3, "a -> b -> a -> b");
  box_line<kLanes>(a, b, size, step, kernel);
  box_line<kLanes>(b, a, size, step, kernel);
  box_line<kLanes>(a, b, size, step, kernel);
}

template <int kChannels>
void copy_colors(const std::uint8_t* in, std::uint8_t* out, int width) {
  for (int x = 0; x < width; ++x)
    for (int c = 0; c < kColors; ++c) out[x * kColors + c] = in[x * kChannels + (kChannels == 1 ? 0 : c)];
}

void copy_row(const ConstImageView& src, int y, std::uint8_t* out) {
  switch (channels(src.format)) {
    case 1:
      return copy_colors<1>(src.row(y), out, src.width);
    case 3:
      return copy_colors<3>(src.row(y), out, src.width);
    default:
      return copy_colors<4>(src.row(y), out, src.width);
  }
}

}  // namespace

BoxKernel gaussian_box(float sigma) {
  const float variance = sigma * sigma / kBoxPasses;
  const float length = std::sqrt(12.0 * variance + 1.0);
  const float whole = std::floor((length - 1.0) / 2.0);
  float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  part /= 6 * (variance - (whole + 1) * (whole + 1));
  const float radius = whole + part;

  BoxKernel kernel;
  kernel.radius = static_cast<int>(radius);
  kernel.weight = static_cast<std::uint32_t>((1 << 24) / (radius * 2 + 1));
  kernel.end_weight = ((1 << 24) - (kernel.radius * 2 + 1) * kernel.weight) / 2;
  return kernel;
}

namespace {

/// Blurs an image of kSamples bytes per pixel, whose rows come from copy_row(y, out), to dst.
template <int kSamples, typename CopyRow>
void blur(int width, int height, float sigma, CopyRow&& copy_row, std::uint8_t* dst, std::uint8_t* scratch) {
  const BoxKernel kernel = gaussian_box(sigma);
  const std::int64_t row_samples = static_cast<std::int64_t>(width) * kSamples;
  parallel_for(height, rows_per_piece(row_samples), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      std::uint8_t* a = scratch + y * row_samples;
      copy_row(static_cast<int>(y), a);
      box_passes<kSamples>(a, dst + y * row_samples, width, kSamples, kernel);
    }
  });
  // Three passes end in the other buffer, so each strip starts from a copy in scratch.
  const std::int64_t strips = (row_samples + kStrip - 1) / kStrip;
  parallel_for(strips, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t strip = begin; strip < end; ++strip) {
      const std::int64_t x0 = strip * kStrip;
      const std::int64_t wide = std::min<std::int64_t>(kStrip, row_samples - x0);
      for (int y = 0; y < height; ++y) std::copy_n(dst + y * row_samples + x0, wide, scratch + y * row_samples + x0);
      if (wide == kStrip) {
        box_passes<kStrip>(scratch + x0, dst + x0, height, row_samples, kernel);
      } else {
        for (std::int64_t x = x0; x < x0 + wide; ++x) box_passes<1>(scratch + x, dst + x, height, row_samples, kernel);
      }
    }
  });
}

template <int kChannels>
void weigh_row(const std::uint8_t* in, const std::uint8_t* alpha, int width, std::uint8_t* out) {
  for (int x = 0; x < width; ++x) weighted_pixel<kChannels>(in + x * kChannels, alpha[x], out + x * 4);
}

RMBG_MULTIVERSION void unweigh_row(const std::uint8_t* in, int width, std::uint8_t* out) {
  for (int x = 0; x < width; ++x)
    for (int c = 0; c < kColors; ++c) out[x * kColors + c] = unweighted(in[x * 4 + c], in[x * 4 + 3]);
}

}  // namespace

void gaussian_blur(const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch, Stream) {
  blur<kColors>(src.width, src.height, sigma, [&](int y, std::uint8_t* out) { copy_row(src, y, out); }, dst, scratch);
}

void blur_surroundings(const ConstImageView& src, const std::uint8_t* alpha, float sigma, std::uint8_t* dst,
                       std::uint8_t* scratch, Stream) {
  const int count = channels(src.format);
  const auto weigh = count == 1 ? weigh_row<1> : count == 3 ? weigh_row<3> : weigh_row<4>;
  const std::int64_t width = src.width;
  std::uint8_t* const blurred = scratch + width * src.height * 4;
  blur<4>(
      src.width, src.height, sigma,
      [&](int y, std::uint8_t* out) { weigh(src.row(y), alpha + y * width, src.width, out); }, blurred, scratch);
  parallel_for(src.height, rows_per_piece(width * 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      unweigh_row(blurred + y * width * 4, src.width, dst + y * width * kColors);
  });
}

}  // namespace rmbg
