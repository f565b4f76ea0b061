// SPDX-License-Identifier: Apache-2.0
// Compiles every pixel function as device code, so that a change which the GPU could not run fails the build
// on machines without one. Nothing here is launched; the kernels proper come with the CUDA launchers.
#include "postprocess/blur_pixel.h"
#include "postprocess/composite_pixel.h"
#include "postprocess/matte_pixel.h"
#include "preprocess/normalize_pixel.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {

__global__ void pixel_functions_compile(std::uint8_t* bytes, float* numbers, const std::int32_t* weights) {
  bytes[0] = resample_pixel(bytes, 3, weights, 7);
  numbers[0] = normalize_byte(bytes[0], bytes[1], {0.485, 0.229});
  bytes[1] = matte_byte(numbers[0], numbers[1], numbers[2]);
  cutout_pixel<4, true>(bytes, bytes[1], bytes + 4);
  cutout_pixel<1, false>(bytes, bytes[1], bytes + 4);
  composite_pixel<3>(bytes, bytes[1], bytes + 4, bytes + 8);
  bytes[2] = box_blur_pixel(bytes[3], bytes[4], {2, 3u, 1u}) + clamp_index(weights[0], 5);
}

}  // namespace rmbg
