// SPDX-License-Identifier: Apache-2.0
// The light layers: a convolution's last step, one-channel convolutions, pooling, interpolation, activations.
// Plain loops that the compiler vectorises. Included only by kernels_impl.h.
#pragma once

#include <cmath>

#include "network/cpu/simd.h"

namespace rmbg::cpu {
namespace {

void finish(const float* m, int count, const float* bias, bool relu, const float* residual, float* out) {
  for (int k = 0; k < kBlock; k += kLanes) {
    const Vec b = load(bias + k);
    for (int i = k; i < count * kBlock; i += kBlock) {
      Vec value = load(m + i) + b;
      if (relu) value = maximum(value, Vec{});
      if (residual != nullptr) value += load(residual + i);
      store(out + i, value);
    }
  }
}

/// Adds halves: a chain of additions, lane by lane, would take longer than the products.
RMBG_INLINE float horizontal_sum(Vec v) {
  typedef float Quad __attribute__((vector_size(16), may_alias));
  alignas(64) float lanes[kLanes];
  store(lanes, v);
  Quad sum{};
  RMBG_UNROLL
  for (int i = 0; i < kLanes; i += 4) sum += *reinterpret_cast<const Quad*>(lanes + i);
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/// `count` neighbouring pixels from x; their taps in columns [first_tap, last_tap] are all inside.
template <int count>
RMBG_INLINE void dot_pixels(const float* input, int blocks, int height, int width, int y, int x, int kernel,
                            int dilation, int first_tap, int last_tap, const float* weights, float* sums) {
  Vec total[count];
  RMBG_UNROLL
  for (int i = 0; i < count; ++i) total[i] = Vec{};
  for (int ky = 0; ky < kernel; ++ky) {
    const int row = y + (ky - kernel / 2) * dilation;
    if (row < 0 || row >= height) continue;
    for (int block = 0; block < blocks; ++block) {
      const float* line = input + (static_cast<std::ptrdiff_t>(block) * height + row) * width * kBlock;
      for (int kx = first_tap; kx <= last_tap; ++kx) {
        const float* pixel = line + static_cast<std::ptrdiff_t>(x + (kx - kernel / 2) * dilation) * kBlock;
        const float* w = weights + (static_cast<std::ptrdiff_t>(ky * kernel + kx) * blocks + block) * kBlock;
        for (int k = 0; k < kBlock; k += kLanes) {
          const Vec tap = load(w + k);
          RMBG_UNROLL
          for (int i = 0; i < count; ++i) total[i] += load(pixel + i * kBlock + k) * tap;
        }
      }
    }
  }
  RMBG_UNROLL
  for (int i = 0; i < count; ++i) sums[i] = horizontal_sum(total[i]);
}

void dot_row(const float* input, int blocks, int height, int width, int y, int kernel, int dilation,
             const float* weights, float bias, bool relu, float* out) {
  constexpr int kPixels = 8;  // sums in flight
  const int reach = kernel / 2 * dilation;
  for (int x = 0; x < width;) {
    float sums[kPixels];
    int count = 1;
    if (x >= reach && x + kPixels + reach <= width) {
      count = kPixels;
      dot_pixels<kPixels>(input, blocks, height, width, y, x, kernel, dilation, 0, kernel - 1, weights, sums);
    } else {
      const int first_tap = kernel > 1 && x < dilation ? 1 : 0;
      const int last_tap = kernel > 1 && x + dilation >= width ? kernel - 2 : kernel - 1;
      dot_pixels<1>(input, blocks, height, width, y, x, kernel, dilation, first_tap, last_tap, weights, sums);
    }
    for (int i = 0; i < count; ++i) {
      const float value = sums[i] + bias;
      out[x + i] = relu && value < 0.0f ? 0.0f : value;
    }
    x += count;
  }
}

RMBG_INLINE float larger(float a, float b) { return a > b ? a : b; }

void pool_row(const float* top, const float* bottom, int width, int lanes, float* out) {
  for (int x = 0; x < width; x += 2) {
    const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(x) * lanes;
    const std::ptrdiff_t right = x + 1 < width ? left + lanes : left;
    for (int k = 0; k < lanes; ++k)
      *out++ = larger(larger(top[left + k], top[right + k]), larger(bottom[left + k], bottom[right + k]));
  }
}

void lerp(const float* a, const float* b, float t, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] + (b[i] - a[i]) * t;
}

void lerp_columns(const float* row, const int* left, const int* right, const float* t, int width, int lanes,
                  float* out) {
  if (lanes == 1) {
    for (int x = 0; x < width; ++x) out[x] = row[left[x]] + (row[right[x]] - row[left[x]]) * t[x];
    return;
  }
  for (int x = 0; x < width; ++x, out += kBlock) {
    const float* a = row + static_cast<std::ptrdiff_t>(left[x]) * kBlock;
    const float* b = row + static_cast<std::ptrdiff_t>(right[x]) * kBlock;
    for (int k = 0; k < kBlock; k += kLanes) store(out + k, load(a + k) + (load(b + k) - load(a + k)) * t[x]);
  }
}

void add(const float* a, const float* b, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}

void axpy(float a, const float* x, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += a * x[i];
}

void relu(const float* x, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = larger(x[i], 0.0f);
}

void sigmoid(const float* x, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = 1.0f / (1.0f + ::expf(-x[i]));
}

}  // namespace
}  // namespace rmbg::cpu
