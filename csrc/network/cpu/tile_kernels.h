// SPDX-License-Identifier: Apache-2.0
// The matrix product of the bfloat16 convolutions: the rows of the left side are 16 neighbouring pixels, read in place;
// the right side is the weights of a step. Three versions share one layout: AMX tiles, AVX512-BF16 dot products, and
// plain C++, which adds in the order that Intel documents for TDPBF16PS, so that its sums equal AMX's to the bit
// (except for subnormal numbers, which AMX treats as 0). Included only by kernels_impl.h.
#pragma once

#include "network/cpu/finish_kernels.h"
#include "network/cpu/simd.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#endif

namespace rmbg::cpu {
namespace {

constexpr int kTileSums = kTilePixels * kBlock;

#if defined(__AMX_BF16__)

/// What LDTILECFG reads. Registers 0 to 3 are sums, 4 and 5 pixels, 6 and 7 weights.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

void begin_tiles(int depth) {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = 16;
  }
  config.row_bytes[4] = config.row_bytes[5] = static_cast<std::uint16_t>(depth * sizeof(Bf16));
  config.rows[6] = config.rows[7] = static_cast<std::uint8_t>(depth / 2);
  asm volatile("" : : "r"(&config) : "memory");  // GCC 12 assumes that only the first bytes are read
  _tile_loadconfig(&config);
}

void end_tiles() { _tile_release(); }

/// Two lines of each range.
RMBG_INLINE void prefetch_lines(Upcoming& upcoming) {
  for (int line = 0; line < 2; ++line) {
    if (upcoming.input.next < upcoming.input.end) __builtin_prefetch(upcoming.input.next, 0, 2);
    if (upcoming.residual.next < upcoming.residual.end) __builtin_prefetch(upcoming.residual.next, 0, 2);
    if (upcoming.output.next < upcoming.output.end) __builtin_prefetch(upcoming.output.next, 1, 2);
    upcoming.input.next += 64;
    upcoming.residual.next += 64;
    upcoming.output.next += 64;
  }
}

/// Work for the vector units between the products of tiles.
struct Meanwhile {
  Upcoming upcoming;
  const FinishTask* other;
  int done, pixels_per_step;

  RMBG_INLINE void finish_some() {
    if (other == nullptr || done == other->count) return;
    const int end = done + pixels_per_step < other->count ? done + pixels_per_step : other->count;
    finish_range(*other, done, end);
    done = end;
  }
};

/// `tiles` tiles of pixels from `first` on, at most 4, or 2 for two blocks.
template <int tiles, int blocks>
void multiply_tiles(const TileTask& task, int first, Meanwhile& meanwhile) {
  const std::ptrdiff_t tile = task.pixel * kTilePixels, block = task.depth * kBlock;
  const long stride = static_cast<long>(task.pixel * static_cast<std::ptrdiff_t>(sizeof(Bf16)));
  const Bf16* weights = task.weights;
  const Bf16* input = task.input + first * tile;
  Upcoming upcoming = meanwhile.upcoming;  // in registers
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int step = 0; step < task.steps; ++step, weights += blocks * block) {
    const Bf16* pixels = input + task.offsets[step];
    prefetch_lines(upcoming);
    _tile_loadd(4, pixels, stride);
    _tile_loadd(6, weights, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (blocks == 2) {
      _tile_loadd(7, weights + block, 64);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (tiles > 1) {
        _tile_loadd(5, pixels + tile, stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    } else {
      if constexpr (tiles > 1) {
        _tile_loadd(5, pixels + tile, stride);
        _tile_dpbf16ps(1, 5, 6);
      }
      if constexpr (tiles > 2) {
        _tile_loadd(4, pixels + 2 * tile, stride);
        _tile_dpbf16ps(2, 4, 6);
      }
      if constexpr (tiles > 3) {
        _tile_loadd(5, pixels + 3 * tile, stride);
        _tile_dpbf16ps(3, 5, 6);
      }
    }
    meanwhile.finish_some();
  }
  meanwhile.upcoming = upcoming;
  // Sum register r is tile r / blocks and block r % blocks.
  const auto at = [&](int r) { return task.sums + ((r % blocks) * task.tiles + first + r / blocks) * kTileSums; };
  _tile_stored(0, at(0), 64);
  if constexpr (tiles * blocks > 1) _tile_stored(1, at(1), 64);
  if constexpr (tiles * blocks > 2) _tile_stored(2, at(2), 64);
  if constexpr (tiles * blocks > 3) _tile_stored(3, at(3), 64);
}

void multiply(const TileTask& task, const FinishTask* other) {
  const int steps = task.steps * (task.blocks == 2 ? (task.tiles + 1) / 2 : 1);
  Meanwhile meanwhile{task.upcoming, other, 0, other == nullptr ? 0 : (other->count + steps - 1) / steps};
  if (task.blocks == 2) {
    int first = 0;
    for (; first + 2 <= task.tiles; first += 2) multiply_tiles<2, 2>(task, first, meanwhile);
    if (first < task.tiles) multiply_tiles<1, 2>(task, first, meanwhile);
  } else if (task.tiles == 4) {
    multiply_tiles<4, 1>(task, 0, meanwhile);
  } else if (task.tiles == 3) {
    multiply_tiles<3, 1>(task, 0, meanwhile);
  } else if (task.tiles == 2) {
    multiply_tiles<2, 1>(task, 0, meanwhile);
  } else {
    multiply_tiles<1, 1>(task, 0, meanwhile);
  }
}

#else

void begin_tiles(int) {}
void end_tiles() {}

#if defined(__AVX512BF16__)

/// Sums of 16 pixels stay in registers; a pair of a pixel's values is broadcast to all outputs.
void multiply_tile(const TileTask& task, const Bf16* input, int block, float* sums) {
  __m512 total[kTilePixels];
  RMBG_UNROLL
  for (int i = 0; i < kTilePixels; ++i) total[i] = _mm512_setzero_ps();
  const std::ptrdiff_t size = task.depth * kBlock;
  for (int step = 0; step < task.steps; ++step) {
    const Bf16* pixels = input + task.offsets[step];
    const Bf16* weights = task.weights + (step * task.blocks + block) * size;
    for (int k = 0; k < task.depth; k += 2, weights += 2 * kBlock) {
      const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(weights));
      RMBG_UNROLL
      for (int i = 0; i < kTilePixels; ++i) {
        int pair;
        __builtin_memcpy(&pair, pixels + i * task.pixel + k, sizeof pair);
        total[i] = _mm512_dpbf16_ps(total[i], reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)), right);
      }
    }
  }
  RMBG_UNROLL
  for (int i = 0; i < kTilePixels; ++i) _mm512_store_ps(sums + i * kBlock, total[i]);
}

#else

RMBG_INLINE Vec splat_bf16(Bf16 value) { return reinterpret_cast<Vec>((Words{} + value) << 16); }

/// Even and odd products of a step are summed separately, then added to each other, then to the total.
void multiply_tile(const TileTask& task, const Bf16* input, int block, float* sums) {
  const std::ptrdiff_t size = task.depth * kBlock;
  for (int i = 0; i < kTileSums; i += kLanes) store(sums + i, Vec{});
  for (int step = 0; step < task.steps; ++step)
    for (int i = 0; i < kTilePixels; ++i) {
      const Bf16* pixel = input + task.offsets[step] + i * task.pixel;
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        const Bf16* weights = task.weights + (step * task.blocks + block) * size + 2 * lane;
        Vec even{}, odd{};
        for (int k = 0; k < task.depth; k += 2, weights += 2 * kBlock) {
          const Words pair = reinterpret_cast<Words>(load(reinterpret_cast<const float*>(weights)));
          even += splat_bf16(pixel[k]) * reinterpret_cast<Vec>(pair << 16);
          odd += splat_bf16(pixel[k + 1]) * reinterpret_cast<Vec>(pair & 0xffff0000u);
        }
        float* sum = sums + i * kBlock + lane;
        store(sum, load(sum) + (even + odd));
      }
    }
}

#endif

void multiply(const TileTask& task, const FinishTask* other) {
  if (other != nullptr) finish_bf16(*other);
  for (int block = 0; block < task.blocks; ++block)
    for (int tile = 0; tile < task.tiles; ++tile)
      multiply_tile(task, task.input + tile * kTilePixels * task.pixel, block,
                    task.sums + (block * task.tiles + tile) * kTileSums);
}

#endif

}  // namespace
}  // namespace rmbg::cpu
