// SPDX-License-Identifier: Apache-2.0
// Reductions over whole buffers. On the GPU they take two steps: each block stores a partial result, and the kernel
// that needs the result joins them in its own block (reduce.cuh). So nothing is reset between frames, and no block
// waits.
#pragma once

#include <cstdint>

namespace rmbg {

class CudaQueue;

struct MinMax {
  float min;
  float max;
};

/// The largest of `count` samples; 0 for none.
std::uint8_t max_value(const std::uint8_t* samples, std::int64_t count);

/// The smallest and the largest of `count` > 0 samples. NaNs are ignored; only NaNs give min > max.
MinMax min_max(const float* samples, std::int64_t count);

constexpr int kPartials = 128;  // blocks of a reduction on the GPU, and so its partial results

/// The first step of min_max() for `count` > 0 float32 or (half) float16 samples. partials: kPartials.
void min_max_partials(CudaQueue& queue, const void* samples, bool half, std::int64_t count, MinMax* partials);

}  // namespace rmbg
