// SPDX-License-Identifier: Apache-2.0
// Winograd's transforms over a run of tiles: blocked activations to V, and M to blocked activations with bias, ReLU,
// residual and 2x2 maximum on the way. A dilated convolution is dilation^2 plain ones on interleaved phase images,
// so only the steps between pixels change. Included only by kernels_impl.h.
#pragma once

#include "network/cpu/winograd_tile.h"

namespace rmbg::cpu {
namespace {

/// Walks tiles in order: along a row of tiles, down a phase image, then on to the next phase.
template <int m>
class TileCursor {
 public:
  TileCursor(const WinogradTask& task, std::int64_t tile) : task_(task) {
    tile_x_ = static_cast<int>(tile % task.tiles_x);
    tile /= task.tiles_x;
    tile_y_ = static_cast<int>(tile % task.tiles_y);
    phase_ = static_cast<int>(tile / task.tiles_y);
  }
  int y() const { return phase_ / task_.dilation + tile_y_ * m * task_.dilation; }
  int x() const { return phase_ % task_.dilation + tile_x_ * m * task_.dilation; }
  void next() {
    if (++tile_x_ < task_.tiles_x) return;
    tile_x_ = 0;
    if (++tile_y_ < task_.tiles_y) return;
    tile_y_ = 0;
    ++phase_;
  }

 private:
  const WinogradTask& task_;
  int tile_x_, tile_y_, phase_;
};

/// Copies a size x size patch whose pixels may lie outside the image; those are zero.
template <int size>
void copy_patch(const WinogradTask& task, const float* plane, int y0, int x0, float* patch) {
  for (int i = 0; i < size * size; ++i) {
    const int y = y0 + i / size * task.dilation, x = x0 + i % size * task.dilation;
    const bool inside = y >= 0 && y < task.height && x >= 0 && x < task.width;
    const float* pixel = plane + (static_cast<std::ptrdiff_t>(y) * task.width + x) * kBlock;
    for (int k = 0; k < kBlock; k += kLanes) store(patch + i * kBlock + k, inside ? load(pixel + k) : Vec{});
  }
}

template <int m>
RMBG_INLINE void transform_patch(const float* pixels, std::ptrdiff_t down, std::ptrdiff_t right, float* v,
                                 std::ptrdiff_t frequency_stride) {
  constexpr int size = m + 2;
  Vec half[size][size];
  RMBG_UNROLL
  for (int x = 0; x < size; ++x) {
    Vec d[size], r[size];
    RMBG_UNROLL
    for (int y = 0; y < size; ++y) d[y] = load(pixels + y * down + x * right);
    WinogradTile<m>::input(d, r);
    RMBG_UNROLL
    for (int y = 0; y < size; ++y) half[y][x] = r[y];
  }
  RMBG_UNROLL
  for (int y = 0; y < size; ++y) {
    Vec r[size];
    WinogradTile<m>::input(half[y], r);
    RMBG_UNROLL
    for (int x = 0; x < size; ++x) store(v + (y * size + x) * frequency_stride, r[x]);
  }
}

template <int m>
void winograd_input(const WinogradTask& task, std::int64_t first, int tiles, int block_begin, int block_end, float* v,
                    WinogradStrides strides) {
  constexpr int size = m + 2;
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(task.height) * task.width * kBlock;
  const int reach = (size - 1) * task.dilation;
  alignas(64) float patch[size * size * kBlock];
  for (int block = block_begin; block < block_end; ++block) {
    const float* channel = task.input + block * plane;
    TileCursor<m> cursor(task, first);
    for (int tile = 0; tile < tiles; ++tile, cursor.next()) {
      const int y = cursor.y() - task.dilation, x = cursor.x() - task.dilation;
      const float* pixels = channel + (static_cast<std::ptrdiff_t>(y) * task.width + x) * kBlock;
      std::ptrdiff_t down = static_cast<std::ptrdiff_t>(task.width) * task.dilation * kBlock;
      std::ptrdiff_t right = static_cast<std::ptrdiff_t>(task.dilation) * kBlock;
      if (y < 0 || x < 0 || y + reach >= task.height || x + reach >= task.width) {
        copy_patch<size>(task, channel, y, x, patch);
        pixels = patch;
        down = size * kBlock;
        right = kBlock;
      }
      float* out = v + block * strides.block + static_cast<std::ptrdiff_t>(tile) * kBlock;
      for (int k = 0; k < kBlock; k += kLanes) transform_patch<m>(pixels + k, down, right, out + k, strides.frequency);
    }
  }
}

/// The m x m sums of one tile.
template <int m>
RMBG_INLINE void transform_products(const float* p, std::ptrdiff_t frequency_stride, Vec (&out)[m][m]) {
  constexpr int size = m + 2;
  Vec half[m][size];
  RMBG_UNROLL
  for (int x = 0; x < size; ++x) {
    Vec d[size], r[m];
    RMBG_UNROLL
    for (int y = 0; y < size; ++y) d[y] = load(p + (y * size + x) * frequency_stride);
    WinogradTile<m>::output(d, r);
    RMBG_UNROLL
    for (int y = 0; y < m; ++y) half[y][x] = r[y];
  }
  RMBG_UNROLL
  for (int y = 0; y < m; ++y) WinogradTile<m>::output(half[y], out[y]);
}

/// Stores the `rows` x `columns` valid pixels of a tile after bias, ReLU and residual, and leaves them in `tile`.
template <int m>
RMBG_INLINE void finish_tile(const WinogradTask& task, Vec (&tile)[m][m], Vec bias, std::ptrdiff_t offset, int rows,
                             int columns) {
  const std::ptrdiff_t down = static_cast<std::ptrdiff_t>(task.width) * task.dilation * kBlock;
  const std::ptrdiff_t right = static_cast<std::ptrdiff_t>(task.dilation) * kBlock;
  RMBG_UNROLL
  for (int y = 0; y < m; ++y) {
    if (y >= rows) break;
    RMBG_UNROLL
    for (int x = 0; x < m; ++x) {
      if (x >= columns) break;
      const std::ptrdiff_t at = offset + y * down + x * right;
      Vec value = tile[y][x] + bias;
      if (task.relu) value = maximum(value, Vec{});
      if (task.residual != nullptr) value += load(task.residual + at);
      tile[y][x] = value;
      store(task.output + at, value);
    }
  }
}

/// The 2x2 maxima of a tile (m is even and dilation 1, so no window crosses tiles).
template <int m>
RMBG_INLINE void pool_tile(const Vec (&tile)[m][m], int rows, int columns, float* out, std::ptrdiff_t down) {
  for (int y = 0; y < rows; y += 2) {
    for (int x = 0; x < columns; x += 2) {
      Vec value = tile[y][x];
      if (x + 1 < columns) value = maximum(value, tile[y][x + 1]);
      if (y + 1 < rows) value = maximum(value, tile[y + 1][x]);
      if (x + 1 < columns && y + 1 < rows) value = maximum(value, tile[y + 1][x + 1]);
      store(out + y / 2 * down + x / 2 * kBlock, value);
    }
  }
}

template <int m>
void winograd_output(const WinogradTask& task, std::int64_t first, int tiles, int block_begin, int block_end,
                     const float* products, WinogradStrides strides) {
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(task.height) * task.width * kBlock;
  const int pooled_height = (task.height + 1) / 2, pooled_width = (task.width + 1) / 2;
  for (int block = block_begin; block < block_end; ++block) {
    TileCursor<m> cursor(task, first);
    for (int tile = 0; tile < tiles; ++tile, cursor.next()) {
      const int y = cursor.y(), x = cursor.x(), d = task.dilation;
      const int rows_left = (task.height - y + d - 1) / d, columns_left = (task.width - x + d - 1) / d;
      const int rows = rows_left < m ? rows_left : m, columns = columns_left < m ? columns_left : m;
      const std::ptrdiff_t offset = block * plane + (static_cast<std::ptrdiff_t>(y) * task.width + x) * kBlock;
      const float* p = products + (block - block_begin) * strides.block + static_cast<std::ptrdiff_t>(tile) * kBlock;
      for (int k = 0; k < kBlock; k += kLanes) {
        Vec sums[m][m];
        transform_products<m>(p + k, strides.frequency, sums);
        finish_tile<m>(task, sums, load(task.bias + block * kBlock + k), offset + k, rows, columns);
        if (task.pooled == nullptr) continue;
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(block) * pooled_height + y / 2) * pooled_width + x / 2;
        pool_tile<m>(sums, rows, columns, task.pooled + at * kBlock + k,
                     static_cast<std::ptrdiff_t>(pooled_width) * kBlock);
      }
    }
  }
}

}  // namespace
}  // namespace rmbg::cpu
