// SPDX-License-Identifier: Apache-2.0
// refine.h on the GPU: the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cuda_queue.h"
#include "core/image_view.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// Bytes of the lines that refine() works with.
std::size_t refine_device_bytes(Size matte);

/// alpha: one plane of the frame's size. guide and matte as for fit_lines(); everything in GPU memory.
void refine(CudaQueue& queue, const std::uint8_t* guide, const std::uint8_t* matte, Size size, float* lines,
            const ConstImageView& frame, const DevicePlanes& alpha);

}  // namespace rmbg
