// SPDX-License-Identifier: Apache-2.0
// blur.h on the GPU: the same bytes.
#pragma once

#include <cstdint>

#include "core/cuda_queue.h"
#include "core/image_view.h"

namespace rmbg {

/// As gaussian_blur() of blur.h, everything in GPU memory.
void gaussian_blur(CudaQueue& queue, const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch);

/// As blur_surroundings() of blur.h; alpha's rows lie alpha_pitch_bytes apart.
void blur_surroundings(CudaQueue& queue, const ConstImageView& src, const std::uint8_t* alpha,
                       std::int64_t alpha_pitch_bytes, float sigma, std::uint8_t* dst, std::uint8_t* scratch);

}  // namespace rmbg
