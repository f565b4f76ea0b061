// SPDX-License-Identifier: Apache-2.0
// Box passes run along columns only, where neighbouring threads read neighbouring bytes; for the passes along rows the
// image is transposed and back. A thread slides its window down a stretch of four columns.
#include "core/launch.cuh"
#include "postprocess/blur.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;
constexpr int kThreads = 128;
constexpr int kColumns = 4;   // neighbouring columns per thread
constexpr int kStretch = 32;  // samples of a column per thread
constexpr int kTile = 32;     // pixels
constexpr int kTileRows = 8;  // of threads

// How a transposed pixel is made.
template <int kChannels>
struct Colors {
  static constexpr int kSamples = kColors;
  static __device__ void make(const std::uint8_t* pixel, const std::uint8_t*, std::uint8_t* out) {
    for (int c = 0; c < kColors; ++c) out[c] = pixel[kChannels == 1 ? 0 : c];
  }
};

template <int kChannels>
struct Weighted {
  static constexpr int kSamples = 4;
  static __device__ void make(const std::uint8_t* pixel, const std::uint8_t* alpha, std::uint8_t* out) {
    weighted_pixel<kChannels>(pixel, *alpha, out);
  }
};

struct Same {
  static constexpr int kSamples = 4;
  static __device__ void make(const std::uint8_t* pixel, const std::uint8_t*, std::uint8_t* out) {
    for (int c = 0; c < 4; ++c) out[c] = pixel[c];
  }
};

/// dst(x, y) = Make of src(y, x); dst has no row padding. alpha: if Make uses it.
template <typename Make, int kChannels>
__global__ void __launch_bounds__(kTile* kTileRows)
    turn_kernel(const std::uint8_t* src, std::int64_t pitch_bytes, const std::uint8_t* alpha,
                std::int64_t alpha_pitch_bytes, int width, int height, std::uint8_t* dst) {
  constexpr int kSamples = Make::kSamples;
  __shared__ std::uint8_t tile[kTile][kTile * kSamples + 4];
  const int lane = static_cast<int>(threadIdx.x);
  const int x0 = static_cast<int>(blockIdx.x) * kTile, y0 = static_cast<int>(blockIdx.y) * kTile;
  for (int row = static_cast<int>(threadIdx.y); row < kTile; row += kTileRows)
    if (x0 + lane < width && y0 + row < height) {
      const std::int64_t y = y0 + row, x = x0 + lane;
      Make::make(src + y * pitch_bytes + x * kChannels, alpha + y * alpha_pitch_bytes + x, &tile[row][lane * kSamples]);
    }
  __syncthreads();
  for (int column = static_cast<int>(threadIdx.y); column < kTile; column += kTileRows)
    if (x0 + column < width && y0 + lane < height) {
      std::uint8_t* const pixel = dst + (static_cast<std::int64_t>(x0 + column) * height + y0 + lane) * kSamples;
      for (int c = 0; c < kSamples; ++c) pixel[c] = tile[lane][column * kSamples + c];
    }
}

/// One pass along columns of an image with `samples` bytes per row, without padding. kWords: rows are word-aligned.
template <bool kWords>
__global__ void __launch_bounds__(kThreads)
    box_kernel(const std::uint8_t* in, std::uint8_t* out, std::int64_t samples, int height, BoxKernel kernel) {
  const std::int64_t x = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kColumns;
  const int begin = static_cast<int>(blockIdx.y) * kStretch;
  if (x >= samples) return;
  const auto word_at = [&](int y) {
    const std::uint8_t* const bytes = in + clamp_index(y, height) * samples + x;
    if (kWords) return *reinterpret_cast<const std::uint32_t*>(bytes);
    std::uint32_t word = 0;
    for (int i = 0; i < kColumns; ++i)
      if (x + i < samples) word |= static_cast<std::uint32_t>(bytes[i]) << 8 * i;
    return word;
  };
  const auto byte_of = [](std::uint32_t word, int i) { return word >> 8 * i & 255u; };
  std::uint32_t sum[kColumns] = {};
  for (int y = begin - kernel.radius; y <= begin + kernel.radius; ++y) {
    const std::uint32_t word = word_at(y);
    for (int i = 0; i < kColumns; ++i) sum[i] += byte_of(word, i);
  }
  for (int y = begin; y < begin + kStretch && y < height; ++y) {
    const std::uint32_t before = word_at(y - kernel.radius - 1), after = word_at(y + kernel.radius + 1);
    const std::uint32_t leaving = word_at(y - kernel.radius);
    std::uint32_t blurred = 0;
    for (int i = 0; i < kColumns; ++i) {
      blurred |= static_cast<std::uint32_t>(box_blur_pixel(sum[i], byte_of(before, i) + byte_of(after, i), kernel))
                 << 8 * i;
      sum[i] += byte_of(after, i) - byte_of(leaving, i);
    }
    std::uint8_t* const result = out + y * samples + x;
    if (kWords) {
      *reinterpret_cast<std::uint32_t*>(result) = blurred;
    } else {
      for (int i = 0; i < kColumns; ++i)
        if (x + i < samples) result[i] = static_cast<std::uint8_t>(byte_of(blurred, i));
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    unweigh_kernel(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= pixels) return;
  for (int c = 0; c < kColors; ++c) out[i * kColors + c] = unweighted(in[i * 4 + c], in[i * 4 + 3]);
}

template <typename Make, int kChannels>
void turn(CudaQueue& queue, const ConstImageView& src, const std::uint8_t* alpha, std::int64_t alpha_pitch_bytes,
          std::uint8_t* dst) {
  const dim3 grid(blocks_for(src.width, kTile), blocks_for(src.height, kTile));
  launch(queue, turn_kernel<Make, kChannels>, grid, dim3(kTile, kTileRows), 0, src.data,
         static_cast<std::int64_t>(src.pitch_bytes), alpha, alpha_pitch_bytes, src.width, src.height, dst);
}

template <template <int> typename Make>
void turn(CudaQueue& queue, const ConstImageView& src, const std::uint8_t* alpha, std::int64_t alpha_pitch_bytes,
          std::uint8_t* dst) {
  const int count = channels(src.format);
  const auto run = count == 1 ? turn<Make<1>, 1> : count == 3 ? turn<Make<3>, 3> : turn<Make<4>, 4>;
  run(queue, src, alpha, alpha_pitch_bytes, dst);
}

/// kBoxPasses between two images of kSamples bytes per pixel; the result is in b.
template <int kSamples>
void box_passes(CudaQueue& queue, std::uint8_t* a, std::uint8_t* b, int width, int height, const BoxKernel& kernel) {
  static_assert(kBoxPasses == 3, "a -> b -> a -> b");
  const std::int64_t samples = static_cast<std::int64_t>(width) * kSamples;
  const dim3 grid(blocks_for(samples, kThreads * kColumns), blocks_for(height, kStretch));
  const bool words = word_aligned(a, samples) && word_aligned(b, samples);
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    const std::uint8_t* const in = pass % 2 == 0 ? a : b;
    launch(queue, words ? box_kernel<true> : box_kernel<false>, grid, dim3(kThreads), 0, in, pass % 2 == 0 ? b : a,
           samples, height, kernel);
  }
}

ConstImageView turned(const std::uint8_t* data, const ConstImageView& src, PixelFormat format) {
  return {data, src.height, src.width, row_bytes(src.height, format), format};
}

}  // namespace

void gaussian_blur(CudaQueue& queue, const ConstImageView& src, float sigma, std::uint8_t* dst, std::uint8_t* scratch) {
  const BoxKernel kernel = gaussian_box(sigma);
  turn<Colors>(queue, src, nullptr, 0, scratch);
  box_passes<kColors>(queue, scratch, dst, src.height, src.width, kernel);
  turn<Colors<kColors>, kColors>(queue, turned(dst, src, PixelFormat::kRgb8), nullptr, 0, scratch);
  box_passes<kColors>(queue, scratch, dst, src.width, src.height, kernel);
}

void blur_surroundings(CudaQueue& queue, const ConstImageView& src, const std::uint8_t* alpha,
                       std::int64_t alpha_pitch_bytes, float sigma, std::uint8_t* dst, std::uint8_t* scratch) {
  const BoxKernel kernel = gaussian_box(sigma);
  const std::int64_t pixels = static_cast<std::int64_t>(src.width) * src.height;
  std::uint8_t* const blurred = scratch + pixels * 4;
  turn<Weighted>(queue, src, alpha, alpha_pitch_bytes, scratch);
  box_passes<4>(queue, scratch, blurred, src.height, src.width, kernel);
  turn<Same, 4>(queue, turned(blurred, src, PixelFormat::kRgba8), nullptr, 0, scratch);
  box_passes<4>(queue, scratch, blurred, src.width, src.height, kernel);
  launch(queue, unweigh_kernel, dim3(blocks_for(pixels, kThreads)), dim3(kThreads), 0, blurred, pixels, dst);
}

}  // namespace rmbg
