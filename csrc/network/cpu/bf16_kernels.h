// SPDX-License-Identifier: Apache-2.0
// The bfloat16 kernels other than convolutions: sums, pooling, interpolation. Included only by kernels_impl.h.
#pragma once

#include <cmath>

#include "network/cpu/simd.h"

namespace rmbg::cpu {
namespace {

RMBG_INLINE Vec sigmoid_of(Vec x) {
  for (int i = 0; i < kLanes; ++i) x[i] = 1.0f / (1.0f + ::expf(-x[i]));
  return x;
}

void pointwise_bf16(const PointwiseTask& task) {
  for (int i = 0; i < task.count; ++i) {
    for (int k = 0; k < task.channels; k += kLanes) {
      Vec value = load_bf16(task.a + i * task.a_pixel + k) + load(task.before + k);
      if (task.b != nullptr) value += load_bf16(task.b + i * task.b_pixel + k);
      if (task.kind == PointwiseKind::kRelu) value = maximum(value, Vec{});
      if (task.kind == PointwiseKind::kSigmoid) value = sigmoid_of(value);
      store_bf16(task.output + i * task.output_pixel + k, value + load(task.after + k));
    }
  }
}

/// The values are already rounded, so rounding them again changes nothing.
void pool_row_bf16(const Bf16* top, const Bf16* bottom, std::ptrdiff_t pixel, int width, int channels, Bf16* out,
                   std::ptrdiff_t out_pixel) {
  for (int x = 0; x < width; x += 2, out += out_pixel) {
    const std::ptrdiff_t left = x * pixel, right = x + 1 < width ? left + pixel : left;
    for (int k = 0; k < channels; k += kLanes) {
      const Vec above = maximum(load_bf16(top + left + k), load_bf16(top + right + k));
      const Vec below = maximum(load_bf16(bottom + left + k), load_bf16(bottom + right + k));
      store_bf16(out + k, maximum(above, below));
    }
  }
}

void lerp_rows_bf16(const Bf16* a, const Bf16* b, std::ptrdiff_t pixel, float t, int width, int channels, float* line) {
  for (int x = 0; x < width; ++x, a += pixel, b += pixel)
    for (int k = 0; k < channels; k += kLanes, line += kLanes) {
      const Vec first = load_bf16(a + k);
      store(line, first + (load_bf16(b + k) - first) * t);
    }
}

void lerp_columns_bf16(const float* line, const int* left, const int* right, const float* t, int width, int channels,
                       Bf16* out, std::ptrdiff_t out_pixel) {
  constexpr int kAhead = 16;  // pixels
  for (int x = 0; x < width; ++x, out += out_pixel) {
    const float* a = line + static_cast<std::ptrdiff_t>(left[x]) * channels;
    const float* b = line + static_cast<std::ptrdiff_t>(right[x]) * channels;
    for (int k = 0; k < channels; k += 32) __builtin_prefetch(out + kAhead * out_pixel + k, 1, 2);
    for (int k = 0; k < channels; k += kLanes) store_bf16(out + k, load(a + k) + (load(b + k) - load(a + k)) * t[x]);
  }
}

}  // namespace
}  // namespace rmbg::cpu
