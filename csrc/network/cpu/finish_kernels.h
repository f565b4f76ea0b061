// SPDX-License-Identifier: Apache-2.0
// The last step of a bfloat16 convolution: from sums to activations. Included only by kernels_impl.h.
#pragma once

#include "network/cpu/simd.h"

namespace rmbg::cpu {
namespace {

template <bool has_residual, int blocks>
RMBG_INLINE void finish_pixels(const FinishTask& task, int begin, int end) {
  constexpr int vectors = blocks * kBlock / kLanes, per_block = kBlock / kLanes;
  const std::ptrdiff_t block_sums = task.block_sums, residual_pixel = task.residual_pixel, pixel = task.output_pixel;
  const float* sums = task.sums + static_cast<std::ptrdiff_t>(begin) * kBlock;
  const Bf16* residual = has_residual ? task.residual + begin * residual_pixel : nullptr;
  Bf16* output = task.output + begin * pixel;
  Vec bias[vectors], floor[vectors];
  RMBG_UNROLL
  for (int j = 0; j < vectors; ++j) {
    bias[j] = load(task.bias + j * kLanes);
    floor[j] = load(task.floor + j * kLanes);
  }
  for (int i = begin; i < end; ++i) {
    Vec values[vectors];
    RMBG_UNROLL
    for (int j = 0; j < vectors; ++j) {
      const Vec sum = load(sums + j / per_block * block_sums + j % per_block * kLanes);
      values[j] = maximum(sum + bias[j], floor[j]);
      if (has_residual) values[j] += load_bf16(residual + j * kLanes);
    }
    store_bf16<vectors>(output, values);
    sums += kBlock;
    output += pixel;
    if (has_residual) residual += residual_pixel;
  }
}

/// Pixels [begin, end) of the task.
void finish_range(const FinishTask& task, int begin, int end) {
  if (task.blocks == 2) {
    task.residual != nullptr ? finish_pixels<true, 2>(task, begin, end) : finish_pixels<false, 2>(task, begin, end);
  } else {
    task.residual != nullptr ? finish_pixels<true, 1>(task, begin, end) : finish_pixels<false, 1>(task, begin, end);
  }
}

void finish_bf16(const FinishTask& task) { finish_range(task, 0, task.count); }

}  // namespace
}  // namespace rmbg::cpu
