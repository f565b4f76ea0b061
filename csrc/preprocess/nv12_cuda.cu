// SPDX-License-Identifier: Apache-2.0
// A thread converts 4 x 2 pixels: three words of each row. Each 2 x 2 pixels share their chroma.
#include "core/byte_words.h"
#include "core/launch.cuh"
#include "preprocess/nv12.h"

namespace rmbg {
namespace {

constexpr int kRows = 8;
constexpr int kPixels = 4;

/// Bytes x to x + 3 of a row, or only two at its end. kWords: rows are word-aligned.
template <bool kWords>
__device__ void load(const std::uint8_t* row, int x, int width, std::uint8_t* bytes) {
  if (kWords && x + kPixels <= width) {
    bytes_of(*reinterpret_cast<const std::uint32_t*>(row + x), bytes);
  } else {
    for (int i = 0; i < kPixels; ++i) bytes[i] = x + i < width ? row[x + i] : std::uint8_t{0};
  }
}

template <bool kWords>
__global__ void __launch_bounds__(kWarp* kRows)
    nv12_kernel(const std::uint8_t* nv12, std::int64_t pitch_bytes, YuvMatrix matrix, bool bgr, std::uint8_t* dst,
                std::int64_t dst_pitch_bytes, int width, int height) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * kPixels;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y) * 2;
  if (x >= width || y >= height) return;
  std::uint8_t chroma[kPixels];
  load<kWords>(nv12 + (height + y / 2) * pitch_bytes, x, width, chroma);
  for (int dy = 0; dy < 2; ++dy) {
    std::uint8_t luma[kPixels], colors[kPixels * 3];
    load<kWords>(nv12 + (y + dy) * pitch_bytes, x, width, luma);
    for (int i = 0; i < kPixels; ++i) {
      std::uint8_t rgb[3];
      yuv_to_rgb(luma[i], chroma[i / 2 * 2], chroma[i / 2 * 2 + 1], matrix, rgb);
      colors[i * 3] = bgr ? rgb[2] : rgb[0];
      colors[i * 3 + 1] = rgb[1];
      colors[i * 3 + 2] = bgr ? rgb[0] : rgb[2];
    }
    std::uint8_t* const out = dst + (y + dy) * dst_pitch_bytes + x * 3;
    if (kWords && x + kPixels <= width) {
      for (int i = 0; i < 3; ++i) reinterpret_cast<std::uint32_t*>(out)[i] = word_of(colors + 4 * i);
    } else {
      for (int i = 0; i < kPixels * 3; ++i)
        if (x + i / 3 < width) out[i] = colors[i];
    }
  }
}

}  // namespace

void nv12_to_color(CudaQueue& queue, const ConstImageView& nv12, const YuvMatrix& matrix, const ImageView& dst) {
  const dim3 grid(blocks_for(dst.height / 2, kRows), blocks_for(dst.width, kWarp * kPixels));
  const bool words = word_aligned(nv12.data, nv12.pitch_bytes) && word_aligned(dst.data, dst.pitch_bytes);
  launch(queue, words ? nv12_kernel<true> : nv12_kernel<false>, grid, dim3(kWarp, kRows), 0, nv12.data,
         static_cast<std::int64_t>(nv12.pitch_bytes), matrix, dst.format == PixelFormat::kBgr8, dst.data,
         static_cast<std::int64_t>(dst.pitch_bytes), dst.width, dst.height);
}

}  // namespace rmbg
