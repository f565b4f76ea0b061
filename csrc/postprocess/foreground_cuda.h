// SPDX-License-Identifier: Apache-2.0
// foreground.h on the GPU: the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cuda_queue.h"
#include "core/image_view.h"
#include "postprocess/foreground.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// Bytes that show_foreground() works with.
std::size_t foreground_device_bytes(Size frame);

/// front: the frame with, near edges, the foreground's colours, in the frame's format; it may not be the frame. alpha:
/// one plane of the frame's size. Everything in GPU memory.
void show_foreground(CudaQueue& queue, const ConstImageView& frame, const DevicePlanes& alpha, void* workspace,
                     const ImageView& front);

}  // namespace rmbg
