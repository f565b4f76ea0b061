// SPDX-License-Identifier: Apache-2.0
// One kernel over the frame: it resamples four pixels of alpha along columns and finishes them at once.
#include "core/byte_words.h"
#include "core/launch.cuh"
#include "postprocess/composite_pixel.h"
#include "postprocess/postprocess_cuda.h"
#include "preprocess/packed_taps.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

constexpr int kRows = 8;    // of a block
constexpr int kPixels = 4;  // a thread

/// Rows of bytes; words: they can be read and written in words.
struct Rows {
  std::uint8_t* data;
  std::int64_t pitch_bytes;
  std::int64_t words;
};

struct FinishTask {
  Rows frame;
  Rows back;  // of an image
  Rows out;
  std::uint8_t color[8];  // of a plain background; three are used, the rest is for alignment
  int width;
  int height;
};

template <int kBytes>
__device__ void load(const Rows& rows, int y, std::int64_t byte, int valid, std::uint8_t* to) {
  const std::uint8_t* const from = rows.data + y * rows.pitch_bytes + byte;
  if (rows.words && valid == kBytes) {
    for (int i = 0; i < kBytes / 4; ++i) bytes_of(reinterpret_cast<const std::uint32_t*>(from)[i], to + 4 * i);
  } else {
    for (int i = 0; i < kBytes; ++i) to[i] = i < valid ? from[i] : std::uint8_t{0};
  }
}

template <int kBytes>
__device__ void store(const Rows& rows, int y, std::int64_t byte, int valid, const std::uint8_t* from) {
  std::uint8_t* const to = rows.data + y * rows.pitch_bytes + byte;
  if (rows.words && valid == kBytes) {
    for (int i = 0; i < kBytes / 4; ++i) reinterpret_cast<std::uint32_t*>(to)[i] = word_of(from + 4 * i);
  } else {
    for (int i = 0; i < kBytes; ++i)
      if (i < valid) to[i] = from[i];
  }
}

/// Alpha of up to four neighbouring pixels. `matte` has the frame's width and the table's height.
__device__ void alpha_of(const DevicePlanes& matte, const DeviceTable& table, int x, int y, int count,
                         std::uint8_t* alpha) {
  const std::uint8_t* const column = matte.data + x;
  const bool whole = table.in_size == table.out_size;  // at the frame's height already
  if (!whole && count == kPixels && table.groups > 0) {
    const std::uint32_t four = resample_four(column + table.packed_first[y] * matte.pitch_bytes, matte.pitch_bytes,
                                             table.packed_of(y), table.groups);
    bytes_of(four, alpha);
    return;
  }
  // The rest of a word is uninitialized padding.
  for (int i = 0; i < kPixels; ++i) {
    if (i >= count) {
      alpha[i] = 0;
    } else if (whole) {
      alpha[i] = column[y * matte.pitch_bytes + i];
    } else {
      alpha[i] = resample_pixel(column + table.first[y] * matte.pitch_bytes + i, matte.pitch_bytes, table.weights_of(y),
                                table.count[y]);
    }
  }
}

// How an output pixel of `kBytes` is made.
struct MakeAlpha {
  static constexpr int kBytes = 1;
  static constexpr bool kBack = false;
  template <int kChannels>
  static __device__ void pixel(const std::uint8_t* in, std::uint8_t matte, const std::uint8_t*, std::uint8_t* out) {
    *out = effective_alpha<kChannels>(in, matte);
  }
};

template <bool kPremultiplied>
struct MakeCutout {
  static constexpr int kBytes = 4;
  static constexpr bool kBack = false;
  template <int kChannels>
  static __device__ void pixel(const std::uint8_t* in, std::uint8_t matte, const std::uint8_t*, std::uint8_t* out) {
    cutout_pixel<kChannels, kPremultiplied>(in, matte, out);
  }
};

template <bool kImage>
struct MakeComposite {
  static constexpr int kBytes = 3;
  static constexpr bool kBack = kImage;
  template <int kChannels>
  static __device__ void pixel(const std::uint8_t* in, std::uint8_t matte, const std::uint8_t* back,
                               std::uint8_t* out) {
    composite_pixel<kChannels>(in, matte, back, out);
  }
};

/// kChannels: of the frame.
template <typename Make, int kChannels>
__global__ void __launch_bounds__(kWarp* kRows) finish_kernel(DevicePlanes matte, DeviceTable table, FinishTask task) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * kPixels;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= task.width || y >= task.height) return;
  const int count = min(kPixels, task.width - x);
  std::uint8_t alpha[kPixels], in[kPixels * kChannels], back[kPixels * 3], out[kPixels * Make::kBytes];
  alpha_of(matte, table, x, y, count, alpha);
  // For alpha only the frame's own alpha is needed.
  if (Make::kBytes != 1 || kChannels == 4)
    load<kPixels * kChannels>(task.frame, y, static_cast<std::int64_t>(x) * kChannels, count * kChannels, in);
  if (Make::kBack) load<kPixels * 3>(task.back, y, static_cast<std::int64_t>(x) * 3, count * 3, back);
  for (int i = 0; i < kPixels; ++i)
    Make::template pixel<kChannels>(in + i * kChannels, alpha[i], Make::kBack ? back + i * 3 : task.color,
                                    out + i * Make::kBytes);
  store<kPixels * Make::kBytes>(task.out, y, static_cast<std::int64_t>(x) * Make::kBytes, count * Make::kBytes, out);
}

using FinishKernel = void (*)(DevicePlanes, DeviceTable, FinishTask);

template <typename Make>
FinishKernel finish_for(int frame_channels) {
  return frame_channels == 1   ? finish_kernel<Make, 1>
         : frame_channels == 3 ? finish_kernel<Make, 3>
                               : finish_kernel<Make, 4>;
}

FinishKernel finish_for(const FrameOptions& options, int frame_channels) {
  switch (options.output) {
    case Output::kCutout:
      return options.premultiplied ? finish_for<MakeCutout<true>>(frame_channels)
                                   : finish_for<MakeCutout<false>>(frame_channels);
    case Output::kComposite:
      return options.background.kind == BackgroundKind::kImage ? finish_for<MakeComposite<true>>(frame_channels)
                                                               : finish_for<MakeComposite<false>>(frame_channels);
    case Output::kAlpha:
      break;
  }
  return finish_for<MakeAlpha>(frame_channels);
}

Rows rows_of(const void* data, std::int64_t pitch_bytes) {
  return {static_cast<std::uint8_t*>(const_cast<void*>(data)), pitch_bytes, word_aligned(data, pitch_bytes)};
}

}  // namespace

void finish(CudaQueue& queue, const AlphaSource& alpha, const ConstImageView& frame, const FrameOptions& options,
            const ImageView& dst) {
  const Background& background = options.background;
  FinishTask task{};
  task.frame = rows_of(frame.data, frame.pitch_bytes);
  task.out = rows_of(dst.data, dst.pitch_bytes);
  if (background.kind == BackgroundKind::kImage) {
    task.back = rows_of(background.image.data, background.image.pitch_bytes);
  } else {
    for (int c = 0; c < 3; ++c) task.color[c] = background.color[c];
  }
  task.width = frame.width;
  task.height = frame.height;
  const dim3 grid(blocks_for(frame.height, kRows), blocks_for(frame.width, kWarp * kPixels));
  launch(queue, finish_for(options, channels(frame.format)), grid, dim3(kWarp, kRows), 0, alpha.matte, alpha.table,
         task);
}

}  // namespace rmbg
