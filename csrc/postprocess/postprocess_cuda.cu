// SPDX-License-Identifier: Apache-2.0
// The order of the steps, and the kernel that stretches the prediction to bytes.
#include "core/half_pixel.h"
#include "core/launch.cuh"
#include "core/reduce.cuh"
#include "postprocess/blur.h"
#include "postprocess/composite_pixel.h"
#include "postprocess/foreground.h"
#include "postprocess/postprocess_cuda.h"
#include "postprocess/refine.h"

namespace rmbg {
namespace {

constexpr int kThreads = 256;

__device__ float number_of(float value) { return value; }
__device__ float number_of(std::uint16_t half) { return from_half(half); }

template <typename Number>
__global__ void __launch_bounds__(kThreads)
    stretch_kernel(const Number* prediction, std::int64_t count, const MinMax* partials, float low, float high,
                   std::uint8_t* matte) {
  __shared__ MinMax scratch[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  const MinMax range = partials == nullptr ? MinMax{low, high}
                                           : join_partials<WiderRange, kThreads>(partials, kPartials, scratch, thread);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + thread;
  if (i < count) matte[i] = matte_byte(number_of(prediction[i]), range.min, range.max);
}

template <typename Number>
void stretch(CudaQueue& queue, const void* prediction, std::int64_t count, const MinMax* partials, MinMax range,
             std::uint8_t* matte) {
  launch(queue, stretch_kernel<Number>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0,
         static_cast<const Number*>(prediction), count, partials, range.min, range.max, matte);
}

DevicePlanes plane(std::uint8_t* data, Size size) {
  return {data, 1, size.width, size.height, padded_row_bytes(size.width)};
}

}  // namespace

std::size_t postprocess_device_between_bytes(const ResamplePlan& plan) {
  // With columns first, the kernel over the frame receives the matte at the frame's size.
  return plane(nullptr, plan.between()).bytes() + (plan.columns_first ? plane(nullptr, plan.out()).bytes() : 0);
}

DevicePlan add_for_postprocess(TableUpload& tables, const ResamplePlan& plan) { return tables.add(plan, 1, 1); }

std::size_t alpha_plane_bytes(Size frame) { return plane(nullptr, frame).bytes(); }

std::size_t front_image_bytes(Size frame, PixelFormat format) {
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

/// Computes all of alpha, for ops that need more than one pixel of it.
AlphaSource gathered(CudaQueue& queue, const AlphaSource& source, const PostprocessDeviceWorkspace& workspace) {
  if (source.table.in_size == source.table.out_size) return source;
  const DevicePlanes alpha = plane(workspace.alpha, workspace.plan->out);
  const ConstImageView unread{alpha.data, alpha.width, alpha.height, alpha.pitch_bytes, PixelFormat::kGray8};
  finish(queue, source, unread, {}, {alpha.data, alpha.width, alpha.height, alpha.pitch_bytes, PixelFormat::kGray8});
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
    finish(queue, alpha, frame, over, dst);
    return;
  }
  alpha = gathered(queue, alpha, workspace);
  if (over_blur(options))
    blur_surroundings(queue, frame, alpha.matte.data, alpha.matte.pitch_bytes, options.blur_sigma, workspace.blurred,
                      workspace.blur_scratch);
  const ImageView front{workspace.front, frame.width, frame.height,
                        padded_row_bytes(row_bytes(frame.width, frame.format)), frame.format};
  show_foreground(queue, frame, alpha.matte, workspace.foreground, front);
  finish(queue, alpha, {front.data, front.width, front.height, front.pitch_bytes, front.format}, over, dst);
}

}  // namespace rmbg
