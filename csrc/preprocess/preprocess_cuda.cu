// SPDX-License-Identifier: Apache-2.0
// Three kernels: two resampling passes, of which the second also computes partial maxima, and the normalization
// look-up.
#include "core/cuda_stream.h"
#include "core/launch.cuh"
#include "core/reduce.cuh"
#include "preprocess/preprocess_cuda.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;
constexpr int kThreads = 256;
constexpr int kTableValues = kColors * 256;

/// Four neighbouring numbers, for one write.
template <typename Number>
struct alignas(4 * sizeof(Number)) Four {
  Number number[4];
};

/// samples: planes of `plane_samples` bytes; four a thread. blockIdx.y is the plane. kWords: planes are whole words.
template <typename Number, bool kWords>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(const std::uint8_t* samples, std::int64_t plane_samples, const std::uint8_t* partials,
                     int partial_count, const Number* tables, Number* tensor) {
  __shared__ std::uint8_t scratch[kThreads];
  __shared__ Number table[256];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t plane = blockIdx.y;
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * kThreads + thread) * 4;
  const std::uint8_t* const in = samples + plane * plane_samples + at;
  Number* const out = tensor + plane * plane_samples + at;
  // Load before the maximum is known, to hide the latency.
  const std::uint32_t word = kWords && at < plane_samples ? *reinterpret_cast<const std::uint32_t*>(in) : 0;
  const int max = join_partials<LargerByte, kThreads>(partials, partial_count, scratch, thread);
  table[thread] = tables[max * kTableValues + plane * 256 + thread];
  __syncthreads();
  if (!kWords) {
    for (int i = 0; i < 4 && at + i < plane_samples; ++i) out[i] = table[in[i]];
  } else if (at < plane_samples) {
    *reinterpret_cast<Four<Number>*>(out) = {
        {table[word & 255u], table[word >> 8 & 255u], table[word >> 16 & 255u], table[word >> 24]}};
  }
}

/// The same for channels last: four pixels a thread, of all colours.
template <typename Number, bool kWords>
__global__ void __launch_bounds__(kThreads)
    normalize_pixels_kernel(const std::uint8_t* samples, std::int64_t pixels, const std::uint8_t* partials,
                            int partial_count, const Number* tables, Number* tensor) {
  __shared__ std::uint8_t scratch[kThreads];
  __shared__ Number table[kTableValues];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * kThreads + thread) * 4;
  const bool whole = kWords && at < pixels;
  std::uint32_t word[kColors];  // loaded early, as above
  for (int c = 0; c < kColors; ++c)
    word[c] = whole ? *reinterpret_cast<const std::uint32_t*>(samples + c * pixels + at) : 0;
  const int max = join_partials<LargerByte, kThreads>(partials, partial_count, scratch, thread);
  for (int c = 0; c < kColors; ++c) table[c * 256 + thread] = tables[max * kTableValues + c * 256 + thread];
  __syncthreads();
  if (!kWords) {
    for (int i = 0; i < 4 && at + i < pixels; ++i)
      for (int c = 0; c < kColors; ++c)
        tensor[tensor_index(Layout::kNhwc, pixels, at + i, c)] = table[c * 256 + samples[c * pixels + at + i]];
  } else if (whole) {
    Four<Number>* const out = reinterpret_cast<Four<Number>*>(tensor + tensor_index(Layout::kNhwc, pixels, at, 0));
#pragma unroll
    for (int quarter = 0; quarter < kColors; ++quarter) {
      Four<Number> four;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int value = quarter * 4 + i, c = value % kColors, pixel = value / kColors;
        four.number[i] = table[c * 256 + (word[c] >> (8 * pixel) & 255u)];
      }
      out[quarter] = four;
    }
  }
}

template <typename Number>
auto kernel_for(Layout layout, bool words) {
  if (layout == Layout::kNhwc)
    return words ? normalize_pixels_kernel<Number, true> : normalize_pixels_kernel<Number, false>;
  return words ? normalize_kernel<Number, true> : normalize_kernel<Number, false>;
}

template <typename Number>
void normalize(CudaQueue& queue, const DevicePlanes& resized, const PreprocessDeviceWorkspace& workspace, int partials,
               Layout layout, void* tensor) {
  static_assert(kThreads == 256, "a thread for each entry of the table");
  const std::int64_t samples = static_cast<std::int64_t>(resized.width) * resized.height;
  const dim3 grid(blocks_for(samples, kThreads * 4), layout == Layout::kNchw ? kColors : 1);
  const bool words = samples % 4 == 0 && word_aligned(resized.data, samples) &&
                     reinterpret_cast<std::uintptr_t>(tensor) % sizeof(Four<Number>) == 0;
  launch(queue, kernel_for<Number>(layout, words), grid, dim3(kThreads), 0,
         static_cast<const std::uint8_t*>(resized.data), samples, static_cast<const std::uint8_t*>(workspace.partials),
         partials, static_cast<const Number*>(workspace.tables->data()), static_cast<Number*>(tensor));
}

/// The image between the passes: planes of the colours, or the frame's own pixels as one plane of bytes.
DevicePlanes between_of(Size between, bool columns_first, int frame_channels, std::uint8_t* data) {
  const int row = columns_first ? between.width * frame_channels : between.width;
  return {data, columns_first ? 1 : kColors, row, between.height, padded_row_bytes(row)};
}

/// Returns the number of partial maxima.
int resample_to(CudaQueue& queue, const ConstImageView& frame, const PreprocessDeviceWorkspace& workspace,
                const DevicePlanes& resized) {
  const DevicePlan& plan = *workspace.plan;
  const int frame_channels = channels(frame.format);
  int offset[kColors];
  for (int c = 0; c < kColors; ++c) offset[c] = channel_offset(frame.format, c);
  const DevicePlanes between = between_of(plan.between, plan.columns_first, frame_channels, workspace.between);
  if (plan.columns_first) {
    // The frame is only read.
    const DevicePlanes rows{const_cast<std::uint8_t*>(frame.data), 1, frame.width * frame_channels, frame.height,
                            frame.pitch_bytes};
    resample_columns(queue, rows, plan.along_y, between);
    return resample_rows(queue, {between.data, frame.width, between.height, between.pitch_bytes, frame.format}, plan,
                         offset, resized, workspace.partials);
  }
  resample_rows(queue, frame, plan, offset, between);
  return resample_columns(queue, between, plan.along_y, resized, workspace.partials);
}

}  // namespace

NormalizationTables::NormalizationTables(const Normalization& normalization, DataType dtype, cudaStream_t stream)
    : dtype_(dtype) {
  const std::size_t bytes = 256 * kTableValues * size_of(dtype);
  memory_.reserve(bytes);
  const Buffer staging(bytes);
  for (int max = 0, i = 0; max < 256; ++max)
    for (int c = 0; c < kColors; ++c)
      for (int value = 0; value < 256; ++value, ++i) {
        const float number =
            normalize_byte(static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(max), normalization[c]);
        if (dtype == DataType::kFloat32) {
          staging.as<float>()[i] = to_number<float>(number);
        } else {
          staging.as<std::uint16_t>()[i] = to_number<std::uint16_t>(number);
        }
      }
  copy_and_wait(memory_.as<void>(), staging.as<void>(), bytes, stream);
}

std::size_t preprocess_device_between_bytes(const ResamplePlan& plan, int frame_channels) {
  return between_of(plan.between(), plan.columns_first, frame_channels, nullptr).bytes();
}

DevicePlan add_for_preprocess(TableUpload& tables, const ResamplePlan& plan, int frame_channels) {
  return tables.add(plan, frame_channels, kColors);
}

void preprocess(CudaQueue& queue, const ConstImageView& frame, const PreprocessDeviceWorkspace& workspace,
                Layout layout, void* tensor) {
  const Size size = workspace.plan->out;
  const DevicePlanes resized{workspace.resized, kColors, size.width, size.height, size.width};
  const int partials = resample_to(queue, frame, workspace, resized);
  if (workspace.tables->dtype() == DataType::kFloat32) {
    normalize<float>(queue, resized, workspace, partials, layout, tensor);
  } else {
    normalize<std::uint16_t>(queue, resized, workspace, partials, layout, tensor);
  }
}

}  // namespace rmbg
