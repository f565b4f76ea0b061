// SPDX-License-Identifier: Apache-2.0
// The last step on the GPU: alpha, and alpha, cutout or composite of it, in one pass over the frame.
#pragma once

#include "core/cuda_queue.h"
#include "postprocess/frame_options.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// What alpha is made of: rows of the frame's width, to be resized down columns by `table`; or all of alpha, where the
/// table changes nothing.
struct AlphaSource {
  DevicePlanes matte;
  DeviceTable table;
};

/// frame: its colours, and its own alpha if it has one. dst: output_channels() channels, the frame's size. Of the
/// options only the output, `premultiplied` and the background are used.
void finish(CudaQueue& queue, const AlphaSource& alpha, const ConstImageView& frame, const FrameOptions& options,
            const ImageView& dst);

}  // namespace rmbg
