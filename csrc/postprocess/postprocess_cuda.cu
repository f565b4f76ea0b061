// SPDX-License-Identifier: Apache-2.0
// Kernels: the first step of the extremes, the stretch to bytes, the pass along rows; and one over the frame that
// makes four pixels of alpha from the pass along columns and finishes them at once.
#include "core/byte_words.h"
#include "core/half_pixel.h"
#include "core/launch.cuh"
#include "core/reduce.cuh"
#include "postprocess/blur_cuda.h"
#include "postprocess/composite_pixel.h"
#include "postprocess/foreground_cuda.h"
#include "postprocess/matte_pixel.h"
#include "postprocess/postprocess_cuda.h"
#include "postprocess/refine_cuda.h"
#include "preprocess/packed_taps.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 8;    // of a block over the frame
constexpr int kPixels = 4;  // a thread

__device__ float number_of(float value) { return value; }
__device__ float number_of(std::uint16_t half) { return from_half(half); }

template <typename Number>
__global__ void __launch_bounds__(kThreads)
    stretch_kernel(const Number* prediction, std::int64_t count, const MinMax* partials, float low, float high,
                   std::uint8_t* matte) {
  __shared__ MinMax scratch[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  const MinMax range =
      partials == nullptr ? MinMax{low, high} : join_partials<WiderRange, kThreads>(partials, scratch, thread);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + thread;
  if (i < count) matte[i] = matte_byte(number_of(prediction[i]), range.min, range.max);
}

template <typename Number>
void stretch(CudaQueue& queue, const void* prediction, std::int64_t count, const MinMax* partials, MinMax range,
             std::uint8_t* matte) {
  launch(queue, stretch_kernel<Number>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0,
         static_cast<const Number*>(prediction), count, partials, range.min, range.max, matte);
}

/// Rows of bytes, and whether they can be read or written in words.
struct Rows {
  std::uint8_t* data;
  std::int64_t pitch_bytes;
  std::int64_t words;
};

struct FinishTask {
  Rows frame;
  Rows back;  // of a picture
  Rows out;
  std::uint8_t color[8];  // of a plain background: three are used
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

/// Alpha of up to four neighbouring pixels: `matte` is the matte at the frame's width and the table's height.
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
  // The rest of a word is padding that nobody wrote.
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

// What is made of one pixel: `kBytes` of it.
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

template <bool kPicture>
struct MakeComposite {
  static constexpr int kBytes = 3;
  static constexpr bool kBack = kPicture;
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
  // Alpha alone needs of the frame only the frame's own alpha.
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

FinishKernel finish_for(const PostprocessOptions& options, int frame_channels) {
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

void finish(CudaQueue& queue, const DevicePlanes& matte, const DeviceTable& table, const ConstImageView& frame,
            const PostprocessOptions& options, const ImageView& dst) {
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
  launch(queue, finish_for(options, channels(frame.format)), grid, dim3(kWarp, kRows), 0, matte, table, task);
}

DevicePlanes plane(std::uint8_t* data, Size size) {
  return {data, 1, size.width, size.height, padded_row_bytes(size.width)};
}

}  // namespace

std::size_t postprocess_device_between_bytes(const ResamplePlan& plan) {
  // Columns first leaves the matte at the frame's size to the kernel over the frame.
  return plane(nullptr, plan.between()).bytes() + (plan.columns_first ? plane(nullptr, plan.out()).bytes() : 0);
}

DevicePlan add_for_postprocess(TableUpload& tables, const ResamplePlan& plan) { return tables.add(plan, 1, 1); }

std::size_t alpha_plane_bytes(Size frame) { return plane(nullptr, frame).bytes(); }

std::size_t front_picture_bytes(Size frame, PixelFormat format) {
  return static_cast<std::size_t>(padded_row_bytes(row_bytes(frame.width, format)) * frame.height);
}

namespace {

void make_matte(CudaQueue& queue, const void* prediction, DataType dtype, const PostprocessOptions& options,
                const PostprocessDeviceWorkspace& workspace) {
  const Size size = workspace.plan->in;
  const std::int64_t count = static_cast<std::int64_t>(size.width) * size.height;
  const bool half = dtype == DataType::kFloat16;
  const bool own_range = options.stretch == Stretch::kMinMax && !workspace.ranged;
  if (own_range) min_max_partials(queue, prediction, half, count, workspace.partials);
  const MinMax* const partials = own_range || workspace.ranged ? workspace.partials : nullptr;
  if (half) {
    stretch<std::uint16_t>(queue, prediction, count, partials, options.range, workspace.matte);
  } else {
    stretch<float>(queue, prediction, count, partials, options.range, workspace.matte);
  }
}

/// What the kernel over the frame makes alpha of: rows of the frame's width, to be resized down columns by `table`, or
/// all of alpha, where the table changes nothing.
struct AlphaSource {
  DevicePlanes matte;
  DeviceTable table;
};

AlphaSource whole(const DevicePlanes& alpha, DeviceTable table) {
  table.in_size = table.out_size;
  return {alpha, table};
}

AlphaSource resized(CudaQueue& queue, const PostprocessDeviceWorkspace& workspace) {
  const DevicePlan& plan = *workspace.plan;
  const int no_offset[3] = {0, 0, 0};
  const DevicePlanes matte{workspace.matte, 1, plan.in.width, plan.in.height, plan.in.width};
  const DevicePlanes between = plane(workspace.between, plan.between);
  if (!plan.columns_first) {
    resample_rows(queue, {matte.data, matte.width, matte.height, matte.pitch_bytes, PixelFormat::kGray8}, plan,
                  no_offset, between);
    return {between, plan.along_y};
  }
  const DevicePlanes alpha = plane(workspace.between + between.bytes(), plan.out);
  resample_columns(queue, matte, plan.along_y, between);
  resample_rows(queue, {between.data, between.width, between.height, between.pitch_bytes, PixelFormat::kGray8}, plan,
                no_offset, alpha);
  return whole(alpha, plan.along_y);
}

AlphaSource refined(CudaQueue& queue, const ConstImageView& frame, const PostprocessDeviceWorkspace& workspace) {
  const DevicePlanes alpha = plane(workspace.alpha, workspace.plan->out);
  refine(queue, workspace.guide, workspace.matte, workspace.plan->in, workspace.lines, frame, alpha);
  return whole(alpha, workspace.plan->along_y);
}

/// All of alpha, for those who look at more than one pixel of it.
AlphaSource gathered(CudaQueue& queue, const AlphaSource& source, const PostprocessDeviceWorkspace& workspace) {
  if (source.table.in_size == source.table.out_size) return source;
  const DevicePlanes alpha = plane(workspace.alpha, workspace.plan->out);
  const ConstImageView unread{alpha.data, alpha.width, alpha.height, alpha.pitch_bytes, PixelFormat::kGray8};
  finish(queue, source.matte, source.table, unread, {},
         {alpha.data, alpha.width, alpha.height, alpha.pitch_bytes, PixelFormat::kGray8});
  return whole(alpha, source.table);
}

}  // namespace

void postprocess(CudaQueue& queue, const void* prediction, DataType dtype, const ConstImageView& frame,
                 const PostprocessOptions& options, const PostprocessDeviceWorkspace& workspace, const ImageView& dst) {
  make_matte(queue, prediction, dtype, options, workspace);
  AlphaSource alpha = options.refine ? refined(queue, frame, workspace) : resized(queue, workspace);
  PostprocessOptions over = options;
  if (over_blur(options)) {
    over.background.kind = BackgroundKind::kImage;
    over.background.image = {workspace.blurred, frame.width, frame.height, row_bytes(frame.width, PixelFormat::kBgr8),
                             PixelFormat::kBgr8};
  }
  if (!shows_foreground(options)) {
    if (over_blur(options)) gaussian_blur(queue, frame, options.blur_sigma, workspace.blurred, workspace.blur_scratch);
    finish(queue, alpha.matte, alpha.table, frame, over, dst);
    return;
  }
  alpha = gathered(queue, alpha, workspace);
  if (over_blur(options))
    blur_surroundings(queue, frame, alpha.matte.data, alpha.matte.pitch_bytes, options.blur_sigma, workspace.blurred,
                      workspace.blur_scratch);
  const ImageView front{workspace.front, frame.width, frame.height,
                        padded_row_bytes(row_bytes(frame.width, frame.format)), frame.format};
  show_foreground(queue, frame, alpha.matte, workspace.foreground, front);
  finish(queue, alpha.matte, alpha.table, {front.data, front.width, front.height, front.pitch_bytes, front.format},
         over, dst);
}

}  // namespace rmbg
