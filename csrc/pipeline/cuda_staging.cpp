// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_staging.h"

#include <cstring>

#include "core/cuda_check.h"
#include "core/cuda_pointer.h"
#include "core/thread_pool.h"

namespace rmbg {
namespace {

void copy_rows(const std::uint8_t* from, std::ptrdiff_t from_pitch, std::uint8_t* to, std::ptrdiff_t to_pitch,
               std::ptrdiff_t row, int height) {
  parallel_for(height, rows_per_piece(row / 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      std::memcpy(to + y * to_pitch, from + y * from_pitch, static_cast<std::size_t>(row));
  });
}

/// Reserves pinned memory and clears it: padding between rows is copied too, so every byte must be initialized.
bool reserve_written(Buffer& pinned, std::size_t bytes) {
  if (!pinned.reserve(bytes)) return false;
  std::memset(pinned.as<void>(), 0, bytes);
  return true;
}

/// Prepares the copy of a host image to the GPU, and returns where the image will be.
ConstImageView bring(const ConstImageView& view, Buffer& device, Buffer& pinned, Copy& copy, bool& grown) {
  const std::ptrdiff_t row = row_bytes(view.width, view.format);
  // Padding is copied too, which pays only if there is little of it.
  const bool direct = view.pitch_bytes <= row + row / 4 && is_pinned(view.data, extent_bytes(view));
  const std::ptrdiff_t pitch = direct ? view.pitch_bytes : padded_row_bytes(row);
  grown |= device.reserve(static_cast<std::size_t>(view.height * pitch));
  const std::uint8_t* from = view.data;
  if (!direct) {
    grown |= reserve_written(pinned, static_cast<std::size_t>(view.height * pitch));
    copy_rows(view.data, view.pitch_bytes, pinned.as<std::uint8_t>(), pitch, row, view.height);
    from = pinned.as<std::uint8_t>();
  }
  const ConstImageView brought{device.as<std::uint8_t>(), view.width, view.height, pitch, view.format};
  copy = {device.as<void>(), from, extent_bytes(brought)};
  return brought;
}

}  // namespace

CudaTask CudaStaging::stage(const FrameJob& job, bool& grown) {
  CudaTask task;
  task.frame = job.frame;
  task.result = job.result;
  task.background = job.options.background;
  if (over_image(job.options) && job.background_memory == MemoryKind::kHost)
    task.background.image =
        bring(job.options.background.image, background_, pinned_background_, task.copy_background, grown);
  if (job.memory != MemoryKind::kDevice) task.frame = bring(job.frame, frame_, pinned_frame_, task.copy_in, grown);
  if (job.options.nv12) take_for_nv12(task, frame_size(job), job.nv12_color, grown);
  if (job.memory == MemoryKind::kDevice) return task;
  const std::ptrdiff_t row = row_bytes(job.result.width, job.result.format);
  const auto bytes = static_cast<std::size_t>(job.result.height * row);
  const bool direct = job.result.pitch_bytes == row && is_pinned(job.result.data, bytes);
  grown |= result_.reserve(bytes);
  if (!direct) grown |= pinned_result_.reserve(bytes);
  task.result = {result_.as<std::uint8_t>(), job.result.width, job.result.height, row, job.result.format};
  task.copy_out = {direct ? job.result.data : pinned_result_.as<void>(), result_.as<void>(), bytes};
  return task;
}

void CudaStaging::take_for_nv12(CudaTask& task, Size size, PixelFormat format, bool& grown) {
  const std::ptrdiff_t pitch = padded_row_bytes(row_bytes(size.width, format));
  grown |= color_.reserve(static_cast<std::size_t>(size.height * pitch));
  task.nv12 = task.frame;
  task.color = {color_.as<std::uint8_t>(), size.width, size.height, pitch, format};
  task.frame = {task.color.data, size.width, size.height, pitch, format};
}

void CudaStaging::deliver(const FrameJob& job, const CudaTask& task) const {
  if (task.copy_out.bytes == 0 || task.copy_out.to == job.result.data) return;
  copy_rows(pinned_result_.as<std::uint8_t>(), task.result.pitch_bytes, job.result.data, job.result.pitch_bytes,
            row_bytes(job.result.width, job.result.format), job.result.height);
}

CudaTask CudaStaging::rehearse(const GraphKey& key, cudaStream_t stream, bool& grown) {
  // An input image: copied from pinned memory, or black GPU memory.
  const auto bring = [&](Buffer& device, Buffer& pinned, PixelFormat format, int height, MemoryKind from, Copy& copy) {
    const std::ptrdiff_t pitch = padded_row_bytes(row_bytes(key.width, format));
    const auto bytes = static_cast<std::size_t>(height * pitch);
    grown |= device.reserve(bytes);
    if (from == MemoryKind::kDevice) {
      check(cudaMemsetAsync(device.as<void>(), 0, bytes, stream), "clearing GPU memory");
    } else {
      grown |= reserve_written(pinned, bytes);
      copy = {device.as<void>(), pinned.as<void>(), bytes};
    }
    return ConstImageView{device.as<std::uint8_t>(), key.width, height, pitch, format};
  };
  CudaTask task;
  const PixelFormat format = key.options.nv12 ? PixelFormat::kGray8 : key.format;
  const int height = key.options.nv12 ? key.height / 2 * 3 : key.height;
  task.frame = bring(frame_, pinned_frame_, format, height, key.memory, task.copy_in);
  if (key.options.nv12) take_for_nv12(task, {key.width, key.height}, key.format, grown);
  task.background.kind = key.options.background.kind;
  if (over_image(key.options))
    task.background.image = bring(background_, pinned_background_, PixelFormat::kBgr8, key.height,
                                  key.background_memory, task.copy_background);
  const PixelFormat result = output_format(key.options.output);
  const std::ptrdiff_t row = row_bytes(key.width, result);
  const auto bytes = static_cast<std::size_t>(key.height * row);
  grown |= result_.reserve(bytes);
  task.result = {result_.as<std::uint8_t>(), key.width, key.height, row, result};
  if (key.memory == MemoryKind::kHost) {
    grown |= pinned_result_.reserve(bytes);
    task.copy_out = {pinned_result_.as<void>(), result_.as<void>(), bytes};
  }
  return task;
}

}  // namespace rmbg
