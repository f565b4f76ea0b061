// SPDX-License-Identifier: Apache-2.0
// Winograd's transforms over a run of tiles: blocked activations to V, and M to blocked activations with bias, ReLU,
// residual and 2x2 maximum on the way. A dilated convolution is dilation^2 plain ones on interleaved phase images,
// so only the steps between pixels change. Included only by kernels_impl.h.
#pragma once

#include "network/cpu/winograd_tile.h"

namespace rmbg::cpu {
namespace {

/// Hides where a stride comes from. Otherwise the compiler keeps its multiples for all frequencies across tiles, and
/// spilling them costs more than adding the stride.
RMBG_INLINE std::ptrdiff_t opaque(std::ptrdiff_t stride) {
  asm volatile("" : "+r"(stride));
  return stride;
}

/// Walks tiles in order: along a row of tiles, down a phase image, then to the next phase.
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

/// Copies a size x size patch; pixels outside the image are zero.
template <int size>
void copy_patch(const WinogradTask& task, const float* plane, int y0, int x0, float* patch) {
  for (int i = 0; i < size * size; ++i) {
    const int y = y0 + i / size * task.dilation, x = x0 + i % size * task.dilation;
    const bool inside = y >= 0 && y < task.height && x >= 0 && x < task.width;
    const float* pixel = plane + (static_cast<std::ptrdiff_t>(y) * task.width + x) * kBlock;
    for (int k = 0; k < kBlock; k += kLanes) store(patch + i * kBlock + k, inside ? load(pixel + k) : Vec{});
  }
}

/// Frequencies are numbered column by column, so that both passes walk memory by adding one stride.
template <int m>
RMBG_INLINE void transform_patch(const float* pixels, std::ptrdiff_t down, std::ptrdiff_t right, float* v,
                                 std::ptrdiff_t frequency_stride) {
  constexpr int size = m + 2;
  Vec half[size][size];
  RMBG_UNROLL
  for (int y = 0; y < size; ++y, pixels += down) {
    const float* pixel = pixels;
    Vec d[size];
    RMBG_UNROLL
    for (int x = 0; x < size; ++x, pixel += right) d[x] = load(pixel);
    WinogradTile<m>::input(d, half[y]);
  }
  RMBG_UNROLL
  for (int x = 0; x < size; ++x) {
    Vec d[size], r[size];
    RMBG_UNROLL
    for (int y = 0; y < size; ++y) d[y] = half[y][x];
    WinogradTile<m>::input(d, r);
    RMBG_UNROLL
    for (int y = 0; y < size; ++y, v += frequency_stride) store(v, r[y]);
  }
}

template <int m>
void winograd_input(const WinogradTask& task, std::int64_t first, int tiles, int block_begin, int block_end, float* v,
                    WinogradStrides strides) {
  constexpr int size = m + 2;
  const WinogradTask local = task;  // a copy: a vector store may alias the task, and its fields would be reloaded
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(task.height) * task.width * kBlock;
  const int reach = (size - 1) * local.dilation;
  alignas(64) float patch[size * size * kBlock];
  for (int block = block_begin; block < block_end; ++block) {
    const float* channel = local.input + block * plane;
    TileCursor<m> cursor(local, first);
    for (int tile = 0; tile < tiles; ++tile, cursor.next()) {
      const int y = cursor.y() - local.dilation, x = cursor.x() - local.dilation;
      const float* pixels = channel + (static_cast<std::ptrdiff_t>(y) * local.width + x) * kBlock;
      std::ptrdiff_t down = static_cast<std::ptrdiff_t>(local.width) * local.dilation * kBlock;
      std::ptrdiff_t right = static_cast<std::ptrdiff_t>(local.dilation) * kBlock;
      if (y < 0 || x < 0 || y + reach >= local.height || x + reach >= local.width) {
        copy_patch<size>(local, channel, y, x, patch);
        pixels = patch;
        down = size * kBlock;
        right = kBlock;
      }
      float* out = v + block * strides.block + static_cast<std::ptrdiff_t>(tile) * kBlock;
      for (int k = 0; k < kBlock; k += kLanes)
        transform_patch<m>(pixels + k, opaque(down), opaque(right), out + k, opaque(strides.frequency));
    }
  }
}

/// The m x m sums of one tile.
template <int m>
RMBG_INLINE void transform_products(const float* p, std::ptrdiff_t frequency_stride, Vec (&out)[m][m]) {
  constexpr int size = m + 2;
  Vec half[size][m];
  RMBG_UNROLL
  for (int x = 0; x < size; ++x) {
    Vec d[size];
    RMBG_UNROLL
    for (int y = 0; y < size; ++y, p += frequency_stride) d[y] = load(p);
    WinogradTile<m>::output(d, half[x]);
  }
  RMBG_UNROLL
  for (int y = 0; y < m; ++y) {
    Vec d[size];
    RMBG_UNROLL
    for (int x = 0; x < size; ++x) d[x] = half[x][y];
    WinogradTile<m>::output(d, out[y]);
  }
}

/// Where a tile goes: copies of the task's fields, as above.
struct TileTarget {
  float* output;
  const float* residual;  // or null
  std::ptrdiff_t down, right;
  bool relu;
};

/// Applies bias, ReLU and residual to a tile, and stores its `rows` x `columns` valid pixels.
template <int m, bool whole>
RMBG_INLINE void finish_tile(TileTarget target, Vec (&tile)[m][m], Vec bias, int rows, int columns) {
  const Vec floor = target.relu ? Vec{} : splat(-__builtin_inff());
  RMBG_UNROLL
  for (int y = 0; y < m; ++y) RMBG_UNROLL
  for (int x = 0; x < m; ++x) tile[y][x] = maximum(tile[y][x] + bias, floor);
  RMBG_UNROLL
  for (int y = 0; y < m; ++y) {
    if (!whole && y >= rows) break;
    std::ptrdiff_t at = y * target.down;
    RMBG_UNROLL
    for (int x = 0; x < m; ++x, at += target.right) {
      if (!whole && x >= columns) break;
      if (target.residual != nullptr) tile[y][x] += load(target.residual + at);
      store(target.output + at, tile[y][x]);
    }
  }
}

/// The 2x2 maxima of a tile (m is even and dilation 1, so no window crosses tiles).
template <int m>
RMBG_INLINE void pool_tile(const Vec (&tile)[m][m], int rows, int columns, float* out, std::ptrdiff_t down) {
  if (rows == m && columns == m) {
    RMBG_UNROLL
    for (int y = 0; y < m; y += 2) RMBG_UNROLL
    for (int x = 0; x < m; x += 2)
      store(out + y / 2 * down + x / 2 * kBlock,
            maximum(maximum(tile[y][x], tile[y][x + 1]), maximum(tile[y + 1][x], tile[y + 1][x + 1])));
    return;
  }
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
  const WinogradTask local = task;
  const std::ptrdiff_t down = static_cast<std::ptrdiff_t>(task.width) * task.dilation * kBlock;
  const std::ptrdiff_t right = static_cast<std::ptrdiff_t>(task.dilation) * kBlock;
  const int pooled_height = (task.height + 1) / 2, pooled_width = (task.width + 1) / 2;
  for (int block = block_begin; block < block_end; ++block) {
    TileCursor<m> cursor(local, first);
    for (int tile = 0; tile < tiles; ++tile, cursor.next()) {
      const int y = cursor.y(), x = cursor.x(), d = local.dilation;
      const int rows_left = (local.height - y + d - 1) / d, columns_left = (local.width - x + d - 1) / d;
      const int rows = rows_left < m ? rows_left : m, columns = columns_left < m ? columns_left : m;
      const std::ptrdiff_t offset = block * plane + (static_cast<std::ptrdiff_t>(y) * local.width + x) * kBlock;
      const float* p = products + (block - block_begin) * strides.block + static_cast<std::ptrdiff_t>(tile) * kBlock;
      for (int k = 0; k < kBlock; k += kLanes) {
        Vec sums[m][m];
        transform_products<m>(p + k, opaque(strides.frequency), sums);
        const Vec bias = load(local.bias + block * kBlock + k);
        const TileTarget target{local.output + offset + k,
                                local.residual == nullptr ? nullptr : local.residual + offset + k, opaque(down),
                                opaque(right), local.relu};
        if (rows == m && columns == m)
          finish_tile<m, true>(target, sums, bias, rows, columns);
        else
          finish_tile<m, false>(target, sums, bias, rows, columns);
        if (local.pooled == nullptr) continue;
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(block) * pooled_height + y / 2) * pooled_width + x / 2;
        pool_tile<m>(sums, rows, columns, local.pooled + at * kBlock + k,
                     static_cast<std::ptrdiff_t>(pooled_width) * kBlock);
      }
    }
  }
}

}  // namespace
}  // namespace rmbg::cpu
