// SPDX-License-Identifier: Apache-2.0
// Guided refinement on the CPU. Lines are fitted row by row from sums along columns, and applied with a row of lines
// that is interpolated between two rows of the grid (grid_row.h).
#include "postprocess/refine.h"

#include <algorithm>

#include "core/mix_pixel.h"
#include "core/multiversion.h"
#include "core/thread_pool.h"
#include "postprocess/grid_row.h"
#include "postprocess/refine_pixel.h"

namespace rmbg {
namespace {

std::size_t padded_width(int width) { return static_cast<std::size_t>(width) + 2 * kFitRadius; }

/// Adds the products of one row of cells to sums along columns.
RMBG_MULTIVERSION void add_products(const std::uint8_t* __restrict r, const std::uint8_t* __restrict g,
                                    const std::uint8_t* __restrict b, const std::uint8_t* __restrict alpha, int width,
                                    std::int32_t* __restrict sums, std::size_t step) {
  RMBG_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    const GuideSums products = guide_products(r[x], g[x], b[x], alpha[x]);
    for (int i = 0; i < kGuideSums; ++i) sums[i * step + x] += products.of[i];
  }
}

/// columns: sums along columns, kFitRadius of them repeated at both ends.
RMBG_MULTIVERSION void fit_row(const std::int32_t* __restrict columns, std::size_t step, int width,
                               float* __restrict red, float* __restrict green, float* __restrict blue,
                               float* __restrict offset) {
  for (int x = 0; x < width; ++x) {
    GuideSums sums;
    for (int i = 0; i < kGuideSums; ++i) {
      const std::int32_t* const from = columns + i * step + x;
      sums.of[i] = from[0] + from[1] + from[2] + from[3] + from[4];
    }
    static_assert(kFitRadius == 2, "five columns are added");
    const GuidedLine line = fit_line(sums);
    red[x] = line.slope[0];
    green[x] = line.slope[1];
    blue[x] = line.slope[2];
    offset[x] = line.offset;
  }
}

void sum_columns(const std::uint8_t* guide, const std::uint8_t* matte, Size size, int y, std::int32_t* columns) {
  const std::size_t step = padded_width(size.width);
  const std::size_t area = size.area();
  std::fill_n(columns, kGuideSums * step, 0);
  for (int dy = -kFitRadius; dy <= kFitRadius; ++dy) {
    const std::size_t row = static_cast<std::size_t>(clamp_index(y + dy, size.height)) * size.width;
    add_products(guide + row, guide + area + row, guide + 2 * area + row, matte + row, size.width, columns + kFitRadius,
                 step);
  }
  for (int i = 0; i < kGuideSums; ++i) {
    std::int32_t* const line = columns + i * step;
    std::fill_n(line, kFitRadius, line[kFitRadius]);
    std::fill_n(line + kFitRadius + size.width, kFitRadius, line[kFitRadius + size.width - 1]);
  }
}

RMBG_MULTIVERSION void add_three(const float* a, const float* b, const float* c, int width, float* sum) {
  for (int x = 0; x < width; ++x) sum[x] = a[x] + b[x] + c[x];
}

/// sum: of columns, one repeated at both ends.
RMBG_MULTIVERSION void mean_of_three(const float* sum, int width, float* mean) {
  for (int x = 0; x < width; ++x) mean[x] = (sum[x] + sum[x + 1] + sum[x + 2]) / kSmoothCells;
}

void smooth_row(const float* plane, Size size, int y, float* columns, float* out) {
  static_assert(kSmoothRadius == 1, "three rows and three columns are added");
  const int width = size.width;
  const auto row = [&](int i) { return plane + static_cast<std::size_t>(clamp_index(i, size.height)) * width; };
  add_three(row(y - 1), row(y), row(y + 1), width, columns + 1);
  columns[0] = columns[1];
  columns[width + 1] = columns[width];
  mean_of_three(columns, width, out);
}

RMBG_MULTIVERSION void close_row(const std::uint8_t* __restrict r, const std::uint8_t* __restrict g,
                                 const std::uint8_t* __restrict b, const std::uint8_t* __restrict alpha, int width,
                                 const float* __restrict red, const float* __restrict green,
                                 const float* __restrict blue, float* __restrict offset) {
  for (int x = 0; x < width; ++x)
    offset[x] = closing_offset({{red[x], green[x], blue[x]}, offset[x]}, r[x], g[x], b[x], alpha[x]);
}

/// Uses the first three bytes of each pixel, which hold the colours, or gray's only one.
template <int kChannels>
RMBG_MULTIVERSION void apply_row(const std::int32_t* __restrict cell, const float* __restrict share,
                                 const GridLine* terms, const std::uint8_t* __restrict frame, int width,
                                 std::uint8_t* __restrict alpha) {
  constexpr int kSecond = kChannels == 1 ? 0 : 1, kThird = kChannels == 1 ? 0 : 2;
  const float *__restrict l0 = terms[0].line, *__restrict l1 = terms[1].line, *__restrict l2 = terms[2].line,
                          *__restrict l3 = terms[3].line;
  const float *__restrict s0 = terms[0].step, *__restrict s1 = terms[1].step, *__restrict s2 = terms[2].step,
                          *__restrict s3 = terms[3].step;
  for (int x = 0; x < width; ++x) {
    const std::int32_t i = cell[x];
    const float at = share[x];
    const std::uint8_t* const pixel = frame + x * kChannels;
    alpha[x] = to_byte(guided_alpha(l0[i] + s0[i] * at, l1[i] + s1[i] * at, l2[i] + s2[i] * at, l3[i] + s3[i] * at,
                                    pixel[0], pixel[kSecond], pixel[kThird]));
  }
}

/// Where the matte is constant, alpha does not depend on the frame's colours.
bool flat(const GridLine* terms, int cell) {
  for (int i = 0; i < kLineTerms; ++i)
    if (terms[i].step[cell] != 0.0f || (i < 3 && terms[i].line[cell] != 0.0f)) return false;
  return true;
}

}  // namespace

std::size_t guided_lines_bytes(Size matte, int frame_width) {
  const std::size_t area = matte.area();
  return sizeof(float) * (2 * kLineTerms * area + GridPlaces::words(frame_width));
}

std::size_t guided_scratch_bytes(Size matte) {
  return sizeof(float) * std::max(kGuideSums * padded_width(matte.width), GridRow::words(kLineTerms, matte.width));
}

GuidedLines fit_lines(const std::uint8_t* guide, const std::uint8_t* matte, Size size, int frame_width, void* memory,
                      std::uint8_t* scratch, Stream) {
  const std::size_t area = size.area();
  auto* const smooth = static_cast<float*>(memory);
  float* const fitted = smooth + kLineTerms * area;
  const std::size_t scratch_bytes = guided_scratch_bytes(size);
  const std::int64_t rows = rows_per_piece(size.width * kGuideSums);
  parallel_for_worker(size.height, rows, [&](std::int64_t begin, std::int64_t end, int worker) {
    auto* columns = reinterpret_cast<std::int32_t*>(scratch + worker * scratch_bytes);
    for (int y = static_cast<int>(begin); y < end; ++y) {
      sum_columns(guide, matte, size, y, columns);
      float* const row = fitted + static_cast<std::size_t>(y) * size.width;
      fit_row(columns, padded_width(size.width), size.width, row, row + area, row + 2 * area, row + 3 * area);
    }
  });
  parallel_for_worker(size.height, rows, [&](std::int64_t begin, std::int64_t end, int worker) {
    auto* columns = reinterpret_cast<float*>(scratch + worker * scratch_bytes);
    for (int y = static_cast<int>(begin); y < end; ++y) {
      const std::size_t at = static_cast<std::size_t>(y) * size.width;
      float* const row = smooth + at;
      for (int term = 0; term < kLineTerms; ++term)
        smooth_row(fitted + term * area, size, y, columns, row + term * area);
      close_row(guide + at, guide + area + at, guide + 2 * area + at, matte + at, size.width, row, row + area,
                row + 2 * area, row + 3 * area);
    }
  });
  const float scale = static_cast<float>(size.width) / static_cast<float>(frame_width);
  return {smooth, size, GridPlaces(scale, size.width, frame_width, fitted + kLineTerms * area)};
}

void guided_row(const GuidedLines& lines, const ConstImageView& frame, int y, std::uint8_t* scratch,
                std::uint8_t* alpha) {
  const float scale_y = static_cast<float>(lines.size.height) / static_cast<float>(frame.height);
  const GridRow row({lines.data, kLineTerms, lines.size, scale_y}, y, scratch);
  // Terms in the order of the frame's bytes, as on the GPU, so that sums are equal.
  const bool bgr = channel_offset(frame.format, 0) == 2;
  const GridLine terms[] = {row.plane(bgr ? 2 : 0), row.plane(1), row.plane(bgr ? 0 : 2), row.plane(3)};
  const int count = channels(frame.format);
  const auto apply = count == 1 ? apply_row<1> : count == 3 ? apply_row<3> : apply_row<4>;
  const std::int32_t* const cell = lines.places.cell();
  for (int begin = 0, end; begin < frame.width; begin = end) {
    const bool same = flat(terms, cell[begin]);
    for (end = begin + 1; end < frame.width; ++end)
      if (cell[end] != cell[end - 1] && flat(terms, cell[end]) != same) break;
    if (same) {
      for (int x = begin; x < end; ++x) alpha[x] = to_byte(terms[3].line[cell[x]]);
    } else {
      apply(cell + begin, lines.places.share() + begin, terms,
            frame.row(y) + static_cast<std::ptrdiff_t>(begin) * count, end - begin, alpha + begin);
    }
  }
}

}  // namespace rmbg
