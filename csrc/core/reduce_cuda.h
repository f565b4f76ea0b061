// SPDX-License-Identifier: Apache-2.0
// Reductions on the GPU in two steps: every block leaves what it found, and whoever needs the result reduces those few
// in its own block. So nothing has to be reset between frames and no block waits for another.
#pragma once

#include <cstdint>

#include "core/cuda_queue.h"
#include "core/reduce.h"

namespace rmbg {

constexpr int kPartials = 128;  // blocks of a reduction, and so results of its first step

/// partials: kPartials; they hold the smallest and the largest of `count` > 0 float32 or (half) float16 samples, NaNs
/// passed over.
void min_max_partials(CudaQueue& queue, const void* samples, bool half, std::int64_t count, MinMax* partials);

}  // namespace rmbg
