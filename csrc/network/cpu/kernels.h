// SPDX-License-Identifier: Apache-2.0
// The inner loops of the CPU network as a table of functions: one table per instruction set, from one source
// (kernels_impl.h), chosen at run time. Activations are blocked: [channel / 16][row][column][16] floats, 64-byte
// aligned, so that output channels fill vector lanes and concatenated tensors are neighbours in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "network/cpu/kernels_bf16.h"

namespace rmbg::cpu {

/// Channels of a block; one AVX-512 vector of floats.
constexpr int kBlock = 16;

/// A same-padded, stride-1 3x3 convolution with fused bias, ReLU, residual and pooling. Activations are blocked.
struct WinogradTask {
  const float* input;     // (cin, height, width)
  float* output;          // (cout, height, width)
  float* pooled;          // (cout, ceil(height / 2), ceil(width / 2)): the output's 2x2 maximum, or null
  const float* bias;      // (cout)
  const float* residual;  // (cout, height, width), added after ReLU, or null
  bool relu;
  int height, width, dilation;
  int tiles_y, tiles_x;  // of one phase image; there are dilation * dilation of them
};

/// Strides, in floats, of V and M: both are [frequency][channel block][tile][16].
struct WinogradStrides {
  std::ptrdiff_t frequency, block;
};

struct WinogradKernels {
  int tile;  // outputs a side: F(tile x tile, 3 x 3) has (tile + 2)^2 frequencies
  /// Computes V of `tiles` tiles from `first`, for input channel blocks [block_begin, block_end).
  void (*input)(const WinogradTask& task, std::int64_t first, int tiles, int block_begin, int block_end, float* v,
                WinogradStrides strides);
  /// Computes output channel blocks [block_begin, block_end) of these tiles from M, whose first block is block_begin.
  void (*output)(const WinogradTask& task, std::int64_t first, int tiles, int block_begin, int block_end,
                 const float* m, WinogradStrides strides);
};

/// m[block][row][16] = sum over k of rows[k-th segment][row] * weights[k][block][16]
struct GemmTask {
  const float* rows;              // first value of row 0
  const std::ptrdiff_t* offsets;  // of each segment from `rows`, in floats; a segment is 16 channels (planar: 1)
  int segments;
  int count;             // rows
  const float* weights;  // [segments * 16 (planar: segments)][blocks * 16]
  int blocks;            // output blocks, 1 to group
  float* m;
  std::ptrdiff_t block_stride;  // of m
};

struct Kernels {
  int group;  // output channel blocks that gemm computes at once; weights are packed for it
  WinogradKernels winograd[3];
  void (*gemm)(const GemmTask& task);         // rows are 16 floats apart
  void (*gemm_planar)(const GemmTask& task);  // rows are 1 float apart
  /// out = relu?(m + bias) + residual, over `count` pixels of one block.
  void (*finish)(const float* m, int count, const float* bias, bool relu, const float* residual, float* out);
  /// Row y of one planar output channel: bias plus 3x3 or 1x1 dot products over all channels of a blocked input.
  void (*dot_row)(const float* input, int blocks, int height, int width, int y, int kernel, int dilation,
                  const float* weights /* [kernel^2][blocks][16] */, float bias, bool relu, float* out);
  /// 2x2 maximum with stride 2 of two rows (the same one twice at an odd bottom); lanes: 16, or 1 for planar.
  void (*pool_row)(const float* top, const float* bottom, int width, int lanes, float* out);
  void (*lerp)(const float* a, const float* b, float t, std::int64_t count, float* out);
  /// out[x] = row[left[x]] + (row[right[x]] - row[left[x]]) * t[x], each of `lanes` floats.
  void (*lerp_columns)(const float* row, const int* left, const int* right, const float* t, int width, int lanes,
                       float* out);
  void (*add)(const float* a, const float* b, std::int64_t count, float* out);
  void (*axpy)(float a, const float* x, std::int64_t count, float* y);  // y += a * x
  void (*relu)(const float* x, std::int64_t count, float* out);
  void (*sigmoid)(const float* x, std::int64_t count, float* out);
  Bf16Kernels bf16;
};

const Kernels& kernels_generic();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
const Kernels& kernels_avx512_bf16();
const Kernels& kernels_amx();

/// The fastest table for this CPU; see cpu_isa().
const Kernels& kernels();

}  // namespace rmbg::cpu
