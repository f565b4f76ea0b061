// SPDX-License-Identifier: Apache-2.0
// Kernels: a line for each cell of the matte, the mean of neighbouring lines, and alpha for four neighbouring pixels.
#include "core/launch.cuh"
#include "core/mix_pixel.h"
#include "postprocess/refine.h"
#include "postprocess/refine_pixel.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {
namespace {

constexpr int kRows = 8;    // of a block
constexpr int kPixels = 4;  // a thread

__global__ void __launch_bounds__(kWarp* kRows)
    fit_kernel(const std::uint8_t* guide, const std::uint8_t* matte, int width, int height, float* lines) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= width || y >= height) return;
  const std::int64_t area = static_cast<std::int64_t>(width) * height;
  GuideSums sums{};
  for (int dy = -kFitRadius; dy <= kFitRadius; ++dy)
    for (int dx = -kFitRadius; dx <= kFitRadius; ++dx) {
      const std::int64_t at =
          static_cast<std::int64_t>(clamp_index(y + dy, height)) * width + clamp_index(x + dx, width);
      const GuideSums products = guide_products(guide[at], guide[area + at], guide[2 * area + at], matte[at]);
      for (int i = 0; i < kGuideSums; ++i) sums.of[i] += products.of[i];
    }
  const GuidedLine line = fit_line(sums);
  float* const to = lines + static_cast<std::int64_t>(y) * width + x;
  for (int i = 0; i < 3; ++i) to[i * area] = line.slope[i];
  to[3 * area] = line.offset;
}

__global__ void __launch_bounds__(kWarp* kRows)
    smooth_kernel(const float* lines, const std::uint8_t* guide, const std::uint8_t* matte, int width, int height,
                  float* smooth) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= width || y >= height) return;
  const std::int64_t area = static_cast<std::int64_t>(width) * height;
  const std::int64_t at = static_cast<std::int64_t>(y) * width + x;
  float mean[kLineTerms];
  for (int i = 0; i < kLineTerms; ++i) {
    const float* const plane = lines + i * area;
    const auto row = [&](int dy) { return plane + static_cast<std::int64_t>(clamp_index(y + dy, height)) * width; };
    const float *const above = row(-1), *const here = row(0), *const below = row(1);
    const auto column = [&](int dx) {
      const int at_x = clamp_index(x + dx, width);
      return above[at_x] + here[at_x] + below[at_x];
    };
    mean[i] = (column(-1) + column(0) + column(1)) / kSmoothCells;
  }
  const GuidedLine line{{mean[0], mean[1], mean[2]}, mean[3]};
  for (int i = 0; i < 3; ++i) smooth[i * area + at] = mean[i];
  smooth[3 * area + at] = closing_offset(line, guide[at], guide[area + at], guide[2 * area + at], matte[at]);
}

/// bgr: blue comes first in a pixel.
template <int kChannels>
__global__ void __launch_bounds__(kWarp* kRows)
    apply_kernel(const float* lines, int cells_x, int cells_y, const std::uint8_t* frame, std::int64_t pitch_bytes,
                 int width, int height, int bgr, std::uint8_t* alpha, std::int64_t alpha_pitch_bytes) {
  const int x0 = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * kPixels;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x0 >= width || y >= height) return;
  const std::int64_t area = static_cast<std::int64_t>(cells_x) * cells_y;
  const float scale_x = static_cast<float>(cells_x) / static_cast<float>(width);
  const float scale_y = static_cast<float>(cells_y) / static_cast<float>(height);
  const LinearTap down = linear_tap(y, scale_y, cells_y);
  for (int x = x0; x < x0 + kPixels && x < width; ++x) {
    const LinearTap along = linear_tap(x, scale_x, cells_x);
    const auto term = [&](int i) { return bilinear(lines + i * area, cells_x, along, down); };
    const std::uint8_t* const pixel = frame + y * pitch_bytes + static_cast<std::int64_t>(x) * kChannels;
    alpha[y * alpha_pitch_bytes + x] =
        to_byte(guided_alpha(term(bgr ? 2 : 0), term(1), term(bgr ? 0 : 2), term(3), pixel[0],
                             pixel[kChannels == 1 ? 0 : 1], pixel[kChannels == 1 ? 0 : 2]));
  }
}

}  // namespace

std::size_t refine_device_bytes(Size matte) { return 2 * kLineTerms * sizeof(float) * matte.area(); }

void refine(CudaQueue& queue, const std::uint8_t* guide, const std::uint8_t* matte, Size size, float* lines,
            const ConstImageView& frame, const DevicePlanes& alpha) {
  const dim3 block(kWarp, kRows);
  const dim3 grid(blocks_for(size.height, kRows), blocks_for(size.width, kWarp));
  float* const fitted = lines + kLineTerms * static_cast<std::int64_t>(size.width) * size.height;
  launch(queue, fit_kernel, grid, block, 0, guide, matte, size.width, size.height, fitted);
  launch(queue, smooth_kernel, grid, block, 0, fitted, guide, matte, size.width, size.height, lines);
  const int count = channels(frame.format);
  const auto apply = count == 1 ? apply_kernel<1> : count == 3 ? apply_kernel<3> : apply_kernel<4>;
  launch(queue, apply, dim3(blocks_for(frame.height, kRows), blocks_for(frame.width, kWarp * kPixels)), block, 0, lines,
         size.width, size.height, frame.data, static_cast<std::int64_t>(frame.pitch_bytes), frame.width, frame.height,
         channel_offset(frame.format, 0) == 2 ? 1 : 0, alpha.data, alpha.pitch_bytes);
}

}  // namespace rmbg
