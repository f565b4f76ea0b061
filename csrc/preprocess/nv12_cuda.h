// SPDX-License-Identifier: Apache-2.0
// nv12.h on the GPU: the same bytes.
#pragma once

#include "core/cuda_queue.h"
#include "preprocess/nv12.h"

namespace rmbg {

void nv12_to_color(CudaQueue& queue, const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst);

}  // namespace rmbg
