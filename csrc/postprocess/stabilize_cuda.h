// SPDX-License-Identifier: Apache-2.0
// stabilize.h on the GPU: the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cuda_queue.h"
#include "core/data_type.h"
#include "core/reduce_cuda.h"
#include "postprocess/stabilize.h"

namespace rmbg {

/// Bytes that stabilize() works with.
std::size_t stabilize_device_bytes(Size prediction);

/// prediction: of `dtype`; becomes the stabilised one. Everything else as for the CPU, all of it in GPU memory.
void stabilize(CudaQueue& queue, void* prediction, DataType dtype, Size size, const std::uint8_t* guide,
               std::int64_t guide_bytes, bool first, const TemporalState& state, void* workspace);

/// partials: kPartials, which become those of the range to stretch the prediction by.
void running_range(CudaQueue& queue, const void* prediction, DataType dtype, Size size, bool first,
                   const TemporalState& state, MinMax* partials);

}  // namespace rmbg
