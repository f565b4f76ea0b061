// SPDX-License-Identifier: Apache-2.0
// Reductions on the GPU in two steps: every block leaves what it found, and whoever needs the result reduces those few
// in its own block. So nothing has to be reset between frames and no block waits for another.
#pragma once

#include <cstdint>

#include "core/cuda_queue.h"
#include "core/reduce.h"

namespace rmbg {

constexpr int kPartials = 128;  // blocks of a reduction, and so results of its first step

/// partials: kPartials bytes; their largest is the largest of `count` > 0 samples.
void max_partials(CudaQueue& queue, const std::uint8_t* samples, std::int64_t count, std::uint8_t* partials);

/// The same for smallest and largest, NaNs passed over, of float32 or (half) float16 samples.
void min_max_partials(CudaQueue& queue, const void* samples, bool half, std::int64_t count, MinMax* partials);

}  // namespace rmbg
