// SPDX-License-Identifier: Apache-2.0
// Gaussian blur of a frame, for a blurred background. Bit-exact with Pillow's ImageFilter.GaussianBlur.
#pragma once

#include "core/image_view.h"
#include "core/stream.h"
#include "postprocess/blur_pixel.h"

namespace rmbg {

class CudaQueue;

constexpr float kLargestSigma = 10000.0f;  // in pixels; the boxes' weights lose their precision beyond

/// The box of which kBoxPasses passes approximate a Gaussian of standard deviation `sigma` pixels (> 0, at most
/// kLargestSigma).
BoxKernel gaussian_box(float sigma);

/// src: any format. dst: 3 channels in the frame's order (gray is repeated), same size, no row padding,
/// width * height * 3 bytes. scratch: as large as dst. Nothing may overlap. sigma > 0, in pixels.
/// Runs on all cores; allocates nothing.
void gaussian_blur(const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch, Stream stream);

/// Blurs the background only: each pixel is weighted by 255 - alpha, so that the subject's colours do not bleed into
/// it. alpha: the image's size, without row padding. dst: as above; black where there is only subject nearby. scratch:
/// width * height * 8 bytes.
void blur_surroundings(const ConstImageView& src, const std::uint8_t* alpha, float sigma, std::uint8_t* dst,
                       std::uint8_t* scratch, Stream stream);

/// Both in GPU memory, with the same bytes. Rows of alpha lie alpha_pitch_bytes apart.
void gaussian_blur(CudaQueue& queue, const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch);
void blur_surroundings(CudaQueue& queue, const ConstImageView& src, const std::uint8_t* alpha,
                       std::int64_t alpha_pitch_bytes, float sigma, std::uint8_t* dst, std::uint8_t* scratch);

}  // namespace rmbg
