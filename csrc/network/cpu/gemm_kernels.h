// SPDX-License-Identifier: Apache-2.0
// The matrix product of the fp32 convolutions. A tile of rows x output vectors stays in registers; values of the left
// side are broadcast, and weights are streamed once per tile. Included only by kernels_impl.h.
#pragma once

#include "network/cpu/simd.h"

namespace rmbg::cpu {
namespace {

// Registers: rows x vectors of sums, the vectors of weights, and one broadcast value.
#if defined(__AVX512F__)
constexpr int kGroup = 2, kTileRows = 14;  // 28 + 2 + 1 of 32
#elif defined(__AVX2__)
constexpr int kGroup = 1, kTileRows = 6;  // 12 + 2 + 1 of 16
#elif defined(__aarch64__)
constexpr int kGroup = 1, kTileRows = 6;  // 24 + 4 + 1 of 32
#else
constexpr int kGroup = 1, kTileRows = 2;  // 8 + 4 + 1 of 16
#endif

template <int rows, int blocks, bool planar>
void gemm_tile(const GemmTask& task, int first) {
  constexpr int vectors = blocks * kBlock / kLanes;
  constexpr int step = planar ? 1 : kBlock, depth = planar ? 1 : kBlock;
  Vec sums[rows][vectors];
  RMBG_UNROLL
  for (int r = 0; r < rows; ++r) RMBG_UNROLL
  for (int j = 0; j < vectors; ++j) sums[r][j] = Vec{};
  const float* weights = task.weights;
  for (int segment = 0; segment < task.segments; ++segment) {
    const float* left = task.rows + task.offsets[segment] + first * step;
    for (int k = 0; k < depth; ++k, weights += vectors * kLanes) {
      Vec w[vectors];
      RMBG_UNROLL
      for (int j = 0; j < vectors; ++j) w[j] = load(weights + j * kLanes);
      RMBG_UNROLL
      for (int r = 0; r < rows; ++r) {
        const Vec value = splat(left[r * step + k]);
        RMBG_UNROLL
        for (int j = 0; j < vectors; ++j) sums[r][j] += value * w[j];
      }
    }
  }
  RMBG_UNROLL
  for (int r = 0; r < rows; ++r) RMBG_UNROLL
  for (int j = 0; j < vectors; ++j)
    store(task.m + j * kLanes / kBlock * task.block_stride + (first + r) * kBlock + j * kLanes % kBlock, sums[r][j]);
}

/// Calls gemm_tile() for exactly `count` rows.
template <int blocks, bool planar, int rows = kTileRows>
RMBG_INLINE void gemm_rows(const GemmTask& task, int first, int count) {
  if constexpr (rows > 1) {
    if (count < rows) return gemm_rows<blocks, planar, rows - 1>(task, first, count);
  }
  gemm_tile<rows, blocks, planar>(task, first);
}

template <bool planar>
void gemm(const GemmTask& task) {
  int first = 0;
  for (int tiles = (task.count + kTileRows - 1) / kTileRows; tiles > 0; --tiles) {
    const int rows = (task.count - first + tiles - 1) / tiles;  // even tiles: 25 rows are 13 + 12, not 14 + 11
    if (kGroup == 2 && task.blocks == 2)
      gemm_rows<kGroup, planar>(task, first, rows);
    else
      gemm_rows<1, planar>(task, first, rows);
    first += rows;
  }
}

}  // namespace
}  // namespace rmbg::cpu
