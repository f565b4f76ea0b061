// SPDX-License-Identifier: Apache-2.0
// A thread makes two by two pixels, which share their chroma.
#include "core/launch.cuh"
#include "preprocess/nv12_cuda.h"

namespace rmbg {
namespace {

constexpr int kRows = 8;

__global__ void __launch_bounds__(kWarp* kRows)
    nv12_kernel(const std::uint8_t* nv12, std::int64_t pitch_bytes, YuvMatrix matrix, bool bgr, std::uint8_t* dst,
                std::int64_t dst_pitch_bytes, int width, int height) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * 2;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y) * 2;
  if (x >= width || y >= height) return;
  const std::uint8_t* const chroma = nv12 + (height + y / 2) * pitch_bytes + x;
  for (int dy = 0; dy < 2; ++dy)
    for (int dx = 0; dx < 2; ++dx) {
      std::uint8_t rgb[3];
      yuv_to_rgb(nv12[(y + dy) * pitch_bytes + x + dx], chroma[0], chroma[1], matrix, rgb);
      std::uint8_t* const out = dst + (y + dy) * dst_pitch_bytes + (x + dx) * 3;
      for (int c = 0; c < 3; ++c) out[c] = rgb[bgr ? 2 - c : c];
    }
}

}  // namespace

void nv12_to_color(CudaQueue& queue, const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst) {
  const dim3 grid(blocks_for(dst.height / 2, kRows), blocks_for(dst.width / 2, kWarp));
  launch(queue, nv12_kernel, grid, dim3(kWarp, kRows), 0, nv12.data, static_cast<std::int64_t>(nv12.pitch_bytes),
         matrix, dst.format == PixelFormat::kBgr8, dst.data, static_cast<std::int64_t>(dst.pitch_bytes), dst.width,
         dst.height);
}

}  // namespace rmbg
