// SPDX-License-Identifier: Apache-2.0
// Kernels: means of each block, window sums along rows and down columns, both grounds of each block, and the frame.
#include "core/launch.cuh"
#include "core/mix_pixel.h"
#include "postprocess/foreground.h"
#include "postprocess/foreground_pixel.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {
namespace {

constexpr int kRows = 8;  // of a block of threads

/// The grid as kernels take it.
struct Blocks {
  int side;
  int across, down;   // blocks
  int width, height;  // pixels

  __host__ __device__ std::int64_t area() const { return static_cast<std::int64_t>(across) * down; }
};

template <int kChannels>
__global__ void __launch_bounds__(kWarp* kRows)
    means_kernel(const std::uint8_t* frame, std::int64_t pitch_bytes, const std::uint8_t* alpha,
                 std::int64_t alpha_pitch_bytes, Blocks blocks, std::uint32_t* means) {
  const int bx = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int by = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (bx >= blocks.across || by >= blocks.down) return;
  const int left = bx * blocks.side, right = min(left + blocks.side, blocks.width);
  const int top = by * blocks.side, bottom = min(top + blocks.side, blocks.height);
  std::uint64_t sums[kBlockMeans] = {};
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) {
      const std::uint8_t* const pixel = frame + y * pitch_bytes + static_cast<std::int64_t>(x) * kChannels;
      const std::uint32_t a = alpha[y * alpha_pitch_bytes + x];
      sums[0] += a;
      sums[1] += a * a;
      for (int c = 0; c < 3; ++c) {
        const std::uint32_t color = pixel[kChannels == 1 ? 0 : c];
        sums[2 + c] += color;
        sums[5 + c] += a * color;
      }
    }
  const auto count = static_cast<std::uint32_t>((right - left) * (bottom - top));
  std::uint32_t* const to = means + static_cast<std::int64_t>(by) * blocks.across + bx;
  for (int i = 0; i < kBlockMeans; ++i)
    to[i * blocks.area()] = block_mean(i == 1 || i >= 5 ? sums[i] : sums[i] * 255u, count);
}

/// One mean of one block, summed over 2 * radius + 1 blocks along a row or (down) a column.
__global__ void __launch_bounds__(kWarp* kRows)
    window_kernel(const std::uint32_t* in, Blocks blocks, int radius, int down, std::uint32_t* out) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= blocks.across || y >= blocks.down) return;
  const std::int64_t plane = static_cast<std::int64_t>(blockIdx.z) * blocks.area();
  std::uint32_t sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    const int at_x = down ? x : clamp_index(x + i, blocks.across);
    const int at_y = down ? clamp_index(y + i, blocks.down) : y;
    sum += in[plane + static_cast<std::int64_t>(at_y) * blocks.across + at_x];
  }
  out[plane + static_cast<std::int64_t>(y) * blocks.across + x] = sum;
}

__global__ void __launch_bounds__(kWarp* kRows)
    grounds_kernel(const std::uint32_t* wide, const std::uint32_t* near, const std::uint32_t* own, Blocks blocks,
                   float* grounds) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= blocks.across || y >= blocks.down) return;
  const std::int64_t at = static_cast<std::int64_t>(y) * blocks.across + x;
  std::uint32_t at_wide[kBlockMeans], at_near[kBlockMeans], at_own[kBlockMeans];
  for (int i = 0; i < kBlockMeans; ++i) {
    at_wide[i] = wide[i * blocks.area() + at];
    at_near[i] = near[i * blocks.area() + at];
    at_own[i] = own[i * blocks.area() + at];
  }
  const Grounds found = block_grounds(at_wide, at_near, at_own);
  for (int i = 0; i < kGroundTerms; ++i) grounds[i * blocks.area() + at] = found.of[i];
}

template <int kChannels>
__global__ void __launch_bounds__(kWarp* kRows)
    front_kernel(const float* grounds, const std::uint32_t* near_alpha, Blocks blocks, const std::uint8_t* frame,
                 std::int64_t pitch_bytes, const std::uint8_t* alpha, std::int64_t alpha_pitch_bytes,
                 std::uint8_t* front, std::int64_t front_pitch_bytes) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= blocks.width || y >= blocks.height) return;
  const std::uint8_t* const in = frame + y * pitch_bytes + static_cast<std::int64_t>(x) * kChannels;
  std::uint8_t* const out = front + y * front_pitch_bytes + static_cast<std::int64_t>(x) * kChannels;
  const std::int64_t own = static_cast<std::int64_t>(y / blocks.side) * blocks.across + x / blocks.side;
  if (!near_edge(near_alpha[own])) {
    for (int c = 0; c < kChannels; ++c) out[c] = in[c];
    return;
  }
  const float scale = 1.0f / static_cast<float>(blocks.side);
  const LinearTap along = linear_tap(x, scale, blocks.across), down = linear_tap(y, scale, blocks.down);
  const auto term = [&](int i) { return bilinear(grounds + i * blocks.area(), blocks.across, along, down); };
  const std::uint8_t share = alpha[y * alpha_pitch_bytes + x];
  for (int c = 0; c < (kChannels == 1 ? 1 : 3); ++c)
    out[c] = to_byte(foreground_color(in[c], share, term(c), term(3 + c)));
  if (kChannels == 4) out[3] = in[3];
}

dim3 grid_over(int width, int height, int planes = 1) {
  return dim3(blocks_for(height, kRows), blocks_for(width, kWarp), planes);
}

}  // namespace

std::size_t foreground_device_bytes(Size frame) {
  return (4 * kBlockMeans * sizeof(std::uint32_t) + kGroundTerms * sizeof(float)) * block_grid(frame).area();
}

void show_foreground(CudaQueue& queue, const ConstImageView& frame, const DevicePlanes& alpha, void* workspace,
                     const ImageView& front) {
  const BlockGrid grid = block_grid({frame.width, frame.height});
  const Blocks blocks{grid.side, grid.blocks.width, grid.blocks.height, frame.width, frame.height};
  const std::size_t planes = kBlockMeans * grid.area();
  auto* const means = static_cast<std::uint32_t*>(workspace);
  std::uint32_t *const rows = means + planes, *const wide = rows + planes, *const near = wide + planes;
  auto* const grounds = reinterpret_cast<float*>(near + planes);

  const dim3 threads(kWarp, kRows), each_block = grid_over(blocks.across, blocks.down);
  const dim3 each_mean = grid_over(blocks.across, blocks.down, kBlockMeans);
  const int count = channels(frame.format);
  const auto pitch_bytes = static_cast<std::int64_t>(frame.pitch_bytes);
  const auto average = count == 1 ? means_kernel<1> : count == 3 ? means_kernel<3> : means_kernel<4>;
  launch(queue, average, each_block, threads, 0, frame.data, pitch_bytes, alpha.data, alpha.pitch_bytes, blocks, means);
  launch(queue, window_kernel, each_mean, threads, 0, means, blocks, kForegroundWide, 0, rows);
  launch(queue, window_kernel, each_mean, threads, 0, rows, blocks, kForegroundWide, 1, wide);
  launch(queue, window_kernel, each_mean, threads, 0, means, blocks, kForegroundNear, 0, rows);
  launch(queue, window_kernel, each_mean, threads, 0, rows, blocks, kForegroundNear, 1, near);
  launch(queue, grounds_kernel, each_block, threads, 0, wide, near, means, blocks, grounds);
  const auto paint = count == 1 ? front_kernel<1> : count == 3 ? front_kernel<3> : front_kernel<4>;
  launch(queue, paint, grid_over(frame.width, frame.height), threads, 0, grounds, near, blocks, frame.data, pitch_bytes,
         alpha.data, alpha.pitch_bytes, front.data, static_cast<std::int64_t>(front.pitch_bytes));
}

}  // namespace rmbg
