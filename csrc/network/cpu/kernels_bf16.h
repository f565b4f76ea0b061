// SPDX-License-Identifier: Apache-2.0
// The bfloat16 part of the kernel table. Products are summed in float; everything else is computed in float and rounded
// once. Activations are laid out as in bf16.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rmbg::cpu {

using Bf16 = std::uint16_t;  // the upper half of a float

/// Pixels of a tile, and outputs of a block: a tile of sums is 16 x 16.
constexpr int kTilePixels = 16;
/// Tiles of pixels that one call multiplies.
constexpr int kMaxTiles = 4;

struct AddressRange {
  const char* next = nullptr;
  const char* end = nullptr;
};

/// What is read and written soon. A product prefetches it meanwhile: it lasts long enough to hide the latency, and tile
/// loads are too irregular for the hardware's prefetcher.
struct Upcoming {
  AddressRange input, residual, output;
};

/// sums[block][position][16] = sum over steps and depth of input[position][offset of the step + k] * weights[step][k]
struct TileTask {
  const Bf16* input;              // position 0
  std::ptrdiff_t pixel;           // values from a position to the next
  const std::ptrdiff_t* offsets;  // of each step, in values
  int steps;
  int depth;            // values that a step multiplies: 16 or 32
  int tiles;            // of 16 positions: 1 to kMaxTiles
  const Bf16* weights;  // [step][block][depth / 2][16 outputs][2]
  int blocks;           // of 16 outputs: 1 or 2
  float* sums;          // [blocks][tiles * 16][16]
  Upcoming upcoming;
};

/// output = max(sums + bias, floor) + residual, for `count` pixels of one or two blocks of channels.
struct FinishTask {
  const float* sums;  // [block][pixel][16]
  std::ptrdiff_t block_sums;
  int blocks, count;
  const float *bias, *floor;  // [block * 16]
  const Bf16* residual;       // or null
  std::ptrdiff_t residual_pixel;
  Bf16* output;
  std::ptrdiff_t output_pixel;
};

enum class PointwiseKind { kAdd, kRelu, kSigmoid };

/// output = f(a + b + before) + after, for `count` pixels; b may be null.
struct PointwiseTask {
  PointwiseKind kind;
  const Bf16 *a, *b;
  std::ptrdiff_t a_pixel, b_pixel;
  const float *before, *after;
  int count, channels;  // channels: a multiple of 16
  Bf16* output;
  std::ptrdiff_t output_pixel;
};

struct Bf16Kernels {
  bool tiles;  // products are many times faster than in float
  /// Call these before and after multiply(), on each thread, to set up and release the tile registers.
  void (*begin)(int depth);
  void (*end)();
  /// Also finishes another product's sums meanwhile, if not null.
  void (*multiply)(const TileTask& task, const FinishTask* other);
  void (*finish)(const FinishTask& task);
  void (*pointwise)(const PointwiseTask& task);
  /// 2x2 maximum with stride 2 of two rows (the same one twice at an odd bottom).
  void (*pool_row)(const Bf16* top, const Bf16* bottom, std::ptrdiff_t pixel, int width, int channels, Bf16* out,
                   std::ptrdiff_t out_pixel);
  /// line[x] = a[x] + (b[x] - a[x]) * t, each of `channels` floats.
  void (*lerp_rows)(const Bf16* a, const Bf16* b, std::ptrdiff_t pixel, float t, int width, int channels, float* line);
  /// out[x] = line[left[x]] + (line[right[x]] - line[left[x]]) * t[x].
  void (*lerp_columns)(const float* line, const int* left, const int* right, const float* t, int width, int channels,
                       Bf16* out, std::ptrdiff_t out_pixel);
};

}  // namespace rmbg::cpu
