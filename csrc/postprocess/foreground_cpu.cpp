// SPDX-License-Identifier: Apache-2.0
// Foreground estimation on the CPU. A row of blocks is summed down its columns first, which vectorizes. Windows are
// sums along rows and running sums down the columns, many columns at a time.
#include "postprocess/foreground.h"

#include <algorithm>

#include "core/mix_pixel.h"
#include "core/multiversion.h"
#include "core/thread_pool.h"
#include "postprocess/foreground_pixel.h"
#include "postprocess/grid_row.h"

namespace rmbg {
namespace {

constexpr int kStrip = 64;  // columns that a window moves down together

/// Repeats alpha for each byte of a row.
template <int kChannels>
RMBG_MULTIVERSION void repeat(const std::uint8_t* __restrict alpha, int width, std::uint8_t* __restrict repeated) {
  for (int x = 0; x < width; ++x)
    for (int c = 0; c < kChannels; ++c) repeated[x * kChannels + c] = alpha[x];
}

RMBG_MULTIVERSION void add(const std::uint8_t* __restrict in, int count, std::uint32_t* __restrict sums) {
  for (int i = 0; i < count; ++i) sums[i] += in[i];
}

RMBG_MULTIVERSION void add_products(const std::uint8_t* __restrict a, const std::uint8_t* __restrict b, int count,
                                    std::uint32_t* __restrict sums) {
  for (int i = 0; i < count; ++i) sums[i] += static_cast<std::uint32_t>(a[i] * b[i]);
}

/// Sums down the columns of a row of blocks, for each byte of the frame's rows.
struct ColumnSums {
  std::uint32_t *alpha, *alpha2;       // frame width
  std::uint32_t *color, *alpha_color;  // bytes of a row
  std::uint8_t* repeated;              // bytes of a row

  static std::size_t words(int width) { return 11 * static_cast<std::size_t>(width); }

  ColumnSums(std::uint32_t* memory, int width, int row_size)
      : alpha(memory),
        alpha2(alpha + width),
        color(alpha2 + width),
        alpha_color(color + row_size),
        repeated(reinterpret_cast<std::uint8_t*>(alpha_color + row_size)) {
    std::fill_n(memory, 2 * (width + row_size), 0u);
  }

  void add_row(const ConstImageView& frame, int y, const std::uint8_t* alphas) {
    const int count = channels(frame.format), bytes = frame.width * count;
    add(alphas, frame.width, alpha);
    add_products(alphas, alphas, frame.width, alpha2);
    add(frame.row(y), bytes, color);
    const auto repeat_alpha = count == 1 ? repeat<1> : count == 3 ? repeat<3> : repeat<4>;
    repeat_alpha(alphas, frame.width, repeated);
    add_products(frame.row(y), repeated, bytes, alpha_color);
  }
};

/// Means of a row of blocks of samples that lie `step` apart.
void reduce(const std::uint32_t* sums, int step, const BlockGrid& grid, int rows, std::uint32_t factor,
            std::uint32_t* means) {
  for (int block = 0; block < grid.blocks.width; ++block) {
    const int left = block * grid.side, right = std::min(left + grid.side, grid.frame.width);
    std::uint64_t sum = 0;
    for (int x = left; x < right; ++x) sum += sums[static_cast<std::ptrdiff_t>(x) * step];
    means[block] = block_mean(sum * factor, static_cast<std::uint32_t>((right - left) * rows));
  }
}

/// out[i]: the sum of 2 * radius + 1 samples around sample i; the outermost samples are repeated at the border. Builds
/// sums of 1, 2, 4, ... neighbours and adds those that make up the window. padded: size + 2 * radius.
RMBG_MULTIVERSION void window_along_row(const std::uint32_t* __restrict in, int size, int radius,
                                        std::uint32_t* __restrict padded, std::uint32_t* __restrict out) {
  std::fill_n(padded, radius, in[0]);
  std::copy_n(in, size, padded + radius);
  std::fill_n(padded + radius + size, radius, in[size - 1]);
  std::fill_n(out, size, 0u);
  int begin = 0;  // of the part of each window that is still missing
  for (int span = 1, left = 2 * radius + 1; left > 0; span *= 2, left /= 2) {
    if (left % 2 == 1) {
      for (int i = 0; i < size; ++i) out[i] += padded[begin + i];
      begin += span;
    }
    const int valid = size + 2 * radius - 2 * span + 1;
    for (int i = 0; i < valid; ++i) padded[i] += padded[i + span];
  }
}

/// The same down `wide` columns side by side.
RMBG_MULTIVERSION void window_down_columns(const std::uint32_t* __restrict in, Size size, int radius, int wide,
                                           std::uint32_t* __restrict out) {
  std::uint32_t sum[kStrip] = {};
  const auto row = [&](int y) { return in + static_cast<std::size_t>(clamp_index(y, size.height)) * size.width; };
  for (int y = -radius; y <= radius; ++y)
    for (int x = 0; x < wide; ++x) sum[x] += row(y)[x];
  for (int y = 0; y < size.height; ++y) {
    std::uint32_t* const to = out + static_cast<std::size_t>(y) * size.width;
    const std::uint32_t *const entering = row(y + radius + 1), *const leaving = row(y - radius);
    for (int x = 0; x < wide; ++x) {
      to[x] = sum[x];
      sum[x] += entering[x] - leaving[x];
    }
  }
}

void window_sums(const BlockGrid& grid, int radius, const ForegroundWorkspace& workspace, std::uint32_t* out) {
  const Size size = grid.blocks;
  const std::uint32_t* const means = workspace.means;
  std::uint32_t* const rows = workspace.rows;
  const std::size_t scratch_words = foreground_scratch_words(grid);
  parallel_for_worker(static_cast<std::int64_t>(kBlockMeans) * size.height, rows_per_piece(size.width),
                      [&](std::int64_t begin, std::int64_t end, int worker) {
                        std::uint32_t* const padded = workspace.scratch + worker * scratch_words;
                        for (std::int64_t row = begin; row < end; ++row)
                          window_along_row(means + row * size.width, size.width, radius, padded,
                                           rows + row * size.width);
                      });
  const std::int64_t strips = (size.width + kStrip - 1) / kStrip;
  parallel_for(kBlockMeans * strips, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::size_t from = static_cast<std::size_t>(i / strips) * grid.area() + i % strips * kStrip;
      const int wide = std::min<int>(kStrip, size.width - static_cast<int>(i % strips) * kStrip);
      window_down_columns(rows + from, size, radius, wide, out + from);
    }
  });
}

RMBG_MULTIVERSION void ground_row(const std::uint32_t* __restrict wide, const std::uint32_t* __restrict near,
                                  const std::uint32_t* __restrict own, std::size_t area, int width,
                                  float* __restrict grounds) {
  RMBG_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    std::uint32_t at_wide[kBlockMeans], at_near[kBlockMeans], at_own[kBlockMeans];
    for (int i = 0; i < kBlockMeans; ++i) {
      at_wide[i] = wide[i * area + x];
      at_near[i] = near[i * area + x];
      at_own[i] = own[i * area + x];
    }
    const Grounds found = block_grounds(at_wide, at_near, at_own);
    for (int i = 0; i < kGroundTerms; ++i) grounds[i * area + x] = found.of[i];
  }
}

template <int kChannels>
RMBG_MULTIVERSION void apply_row(const std::int32_t* __restrict cell, const float* __restrict share,
                                 const GridLine* grounds, const std::uint8_t* __restrict frame,
                                 const std::uint8_t* __restrict alpha, int width, std::uint8_t* __restrict out) {
  constexpr int kColors = kChannels == 1 ? 1 : 3;
  for (int x = 0; x < width; ++x) {
    const std::int32_t i = cell[x];
    const float at = share[x];
    for (int c = 0; c < kColors; ++c) {
      const float front = grounds[c].line[i] + grounds[c].step[i] * at;
      const float back = grounds[3 + c].line[i] + grounds[3 + c].step[i] * at;
      out[x * kChannels + c] = to_byte(foreground_color(frame[x * kChannels + c], alpha[x], front, back));
    }
    if (kChannels == 4) out[x * kChannels + 3] = frame[x * kChannels + 3];
  }
}

}  // namespace

BlockGrid block_grid(Size frame) {
  BlockGrid grid;
  grid.frame = frame;
  grid.side = (std::max(frame.width, frame.height) + kForegroundGrid - 1) / kForegroundGrid;
  grid.blocks = {(frame.width + grid.side - 1) / grid.side, (frame.height + grid.side - 1) / grid.side};
  return grid;
}

std::size_t foreground_scratch_words(const BlockGrid& grid) {
  return std::max({ColumnSums::words(grid.frame.width), GridRow::words(kGroundTerms, grid.blocks.width),
                   static_cast<std::size_t>(grid.blocks.width + 2 * kForegroundWide)});
}

void block_row_means(const ConstImageView& frame, const std::uint8_t* alpha, std::ptrdiff_t alpha_pitch,
                     const BlockGrid& grid, int block_row, std::uint32_t* scratch, std::uint32_t* means) {
  const int count = channels(frame.format);
  ColumnSums sums(scratch, frame.width, frame.width * count);
  const int top = block_row * grid.side, rows = std::min(grid.side, frame.height - top);
  for (int y = top; y < top + rows; ++y) sums.add_row(frame, y, alpha + y * alpha_pitch);
  std::uint32_t* const to = means + static_cast<std::size_t>(block_row) * grid.blocks.width;
  const std::size_t area = grid.area();
  reduce(sums.alpha, 1, grid, rows, 255u, to);
  reduce(sums.alpha2, 1, grid, rows, 1u, to + area);
  for (int c = 0; c < 3; ++c) {
    const int at = count == 1 ? 0 : c;
    reduce(sums.color + at, count, grid, rows, 255u, to + (2 + c) * area);
    reduce(sums.alpha_color + at, count, grid, rows, 1u, to + (5 + c) * area);
  }
}

GroundPlanes estimate_grounds(const BlockGrid& grid, const ForegroundWorkspace& workspace, Stream) {
  window_sums(grid, kForegroundWide, workspace, workspace.wide);
  window_sums(grid, kForegroundNear, workspace, workspace.near);
  const int width = grid.blocks.width;
  parallel_for(grid.blocks.height, rows_per_piece(width * 8), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      ground_row(workspace.wide + y * width, workspace.near + y * width, workspace.means + y * width, grid.area(),
                 width, workspace.grounds + y * width);
  });
  const float scale = 1.0f / static_cast<float>(grid.side);
  return {workspace.grounds, workspace.near, grid, GridPlaces(scale, width, grid.frame.width, workspace.places)};
}

void foreground_row(const GroundPlanes& grounds, const ConstImageView& frame, const std::uint8_t* alpha, int y,
                    std::uint32_t* scratch, std::uint8_t* out) {
  const BlockGrid& grid = grounds.grid;
  const int count = channels(frame.format);
  const std::uint8_t* const in = frame.row(y);
  const float scale = 1.0f / static_cast<float>(grid.side);
  const GridRow row({grounds.data, kGroundTerms, grid.blocks, scale}, y, scratch);
  GridLine planes[kGroundTerms];
  for (int i = 0; i < kGroundTerms; ++i) planes[i] = row.plane(i);
  const auto apply = count == 1 ? apply_row<1> : count == 3 ? apply_row<3> : apply_row<4>;
  const std::uint32_t* const near = grounds.near_alpha + static_cast<std::size_t>(y / grid.side) * grid.blocks.width;
  for (int block = 0, next; block < grid.blocks.width; block = next) {
    const bool edge = near_edge(near[block]);
    for (next = block + 1; next < grid.blocks.width && near_edge(near[next]) == edge;) ++next;
    const int begin = block * grid.side, end = std::min(next * grid.side, frame.width);
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(begin) * count;
    if (edge) {
      apply(grounds.places.cell() + begin, grounds.places.share() + begin, planes, in + first, alpha + begin,
            end - begin, out + first);
    } else {
      std::copy_n(in + first, static_cast<std::ptrdiff_t>(end - begin) * count, out + first);
    }
  }
}

}  // namespace rmbg
