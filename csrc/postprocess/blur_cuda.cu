// SPDX-License-Identifier: Apache-2.0
// Box passes along columns only, where neighbouring threads read neighbouring bytes: for the passes along rows the
// picture is turned, and turned back. A thread slides its window over a stretch of a column.
#include "core/launch.cuh"
#include "postprocess/blur.h"
#include "postprocess/blur_cuda.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;
constexpr int kThreads = 128;
constexpr int kStretch = 64;  // samples of a column that a thread makes
constexpr int kTile = 32;     // pixels
constexpr int kTileRows = 8;  // of threads

/// dst(x, y) = src(y, x) in three colours; dst has no row padding.
template <int kChannels>
__global__ void __launch_bounds__(kTile* kTileRows)
    turn_kernel(const std::uint8_t* src, std::int64_t pitch_bytes, int width, int height, std::uint8_t* dst) {
  __shared__ std::uint8_t tile[kTile][kTile * kColors + 4];
  const int lane = static_cast<int>(threadIdx.x);
  const int x0 = static_cast<int>(blockIdx.x) * kTile, y0 = static_cast<int>(blockIdx.y) * kTile;
  for (int row = static_cast<int>(threadIdx.y); row < kTile; row += kTileRows)
    if (x0 + lane < width && y0 + row < height) {
      const std::uint8_t* const pixel =
          src + (y0 + row) * pitch_bytes + static_cast<std::int64_t>(x0 + lane) * kChannels;
      for (int c = 0; c < kColors; ++c) tile[row][lane * kColors + c] = pixel[kChannels == 1 ? 0 : c];
    }
  __syncthreads();
  for (int column = static_cast<int>(threadIdx.y); column < kTile; column += kTileRows)
    if (x0 + column < width && y0 + lane < height) {
      std::uint8_t* const pixel = dst + (static_cast<std::int64_t>(x0 + column) * height + y0 + lane) * kColors;
      for (int c = 0; c < kColors; ++c) pixel[c] = tile[lane][column * kColors + c];
    }
}

/// One pass along columns of `samples` bytes a row, without padding.
__global__ void __launch_bounds__(kThreads)
    box_kernel(const std::uint8_t* in, std::uint8_t* out, std::int64_t samples, int height, BoxKernel kernel) {
  const std::int64_t x = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int begin = static_cast<int>(blockIdx.y) * kStretch;
  if (x >= samples) return;
  const auto at = [&](int y) { return static_cast<std::uint32_t>(in[clamp_index(y, height) * samples + x]); };
  std::uint32_t sum = 0;
  for (int y = begin - kernel.radius; y <= begin + kernel.radius; ++y) sum += at(y);
  for (int y = begin; y < begin + kStretch && y < height; ++y) {
    const std::uint32_t after = at(y + kernel.radius + 1);
    out[y * samples + x] = box_blur_pixel(sum, at(y - kernel.radius - 1) + after, kernel);
    sum += after - at(y - kernel.radius);
  }
}

void turn(CudaQueue& queue, const ConstImageView& src, std::uint8_t* dst) {
  const auto kernel = channels(src.format) == 1   ? turn_kernel<1>
                      : channels(src.format) == 3 ? turn_kernel<3>
                                                  : turn_kernel<4>;
  const dim3 grid(blocks_for(src.width, kTile), blocks_for(src.height, kTile));
  launch(queue, kernel, grid, dim3(kTile, kTileRows), 0, src.data, src.pitch_bytes, src.width, src.height, dst);
}

/// kBoxPasses there and back between two pictures; the result ends in b.
void box_passes(CudaQueue& queue, std::uint8_t* a, std::uint8_t* b, int width, int height, const BoxKernel& kernel) {
  static_assert(kBoxPasses == 3, "a -> b -> a -> b");
  const std::int64_t samples = static_cast<std::int64_t>(width) * kColors;
  const dim3 grid(blocks_for(samples, kThreads), blocks_for(height, kStretch));
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    const std::uint8_t* const in = pass % 2 == 0 ? a : b;
    launch(queue, box_kernel, grid, dim3(kThreads), 0, in, pass % 2 == 0 ? b : a, samples, height, kernel);
  }
}

}  // namespace

void gaussian_blur(CudaQueue& queue, const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch) {
  const BoxKernel kernel = gaussian_box(sigma);
  turn(queue, src, scratch);
  box_passes(queue, scratch, dst, src.height, src.width, kernel);
  turn(queue, {dst, src.height, src.width, static_cast<std::ptrdiff_t>(src.height) * kColors, PixelFormat::kRgb8},
       scratch);
  box_passes(queue, scratch, dst, src.width, src.height, kernel);
}

}  // namespace rmbg
