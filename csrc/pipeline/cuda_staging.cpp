// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_staging.h"

#include <cstring>

#include "core/cuda_pointer.h"
#include "core/launch.h"

namespace rmbg {
namespace {

void copy_rows(const std::uint8_t* from, std::ptrdiff_t from_pitch, std::uint8_t* to, std::ptrdiff_t to_pitch,
               std::ptrdiff_t row, int height) {
  parallel_for(height, rows_per_piece(row / 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y)
      std::memcpy(to + y * to_pitch, from + y * from_pitch, static_cast<std::size_t>(row));
  });
}

/// A host picture to the GPU: `copy` is what the stream must do, and the answer where the picture then lies.
ConstImageView bring(const ConstImageView& view, Buffer& device, Buffer& pinned, Copy& copy, bool& grown) {
  const std::ptrdiff_t row = row_bytes(view.width, view.format);
  // Padding is copied along: worth it only while there is little.
  const bool direct = view.pitch_bytes <= row + row / 4 && is_pinned(view.data, extent_bytes(view));
  const std::ptrdiff_t pitch = direct ? view.pitch_bytes : padded_row_bytes(row);
  grown |= device.reserve(static_cast<std::size_t>(view.height * pitch));
  const std::uint8_t* from = view.data;
  if (!direct) {
    grown |= pinned.reserve(static_cast<std::size_t>(view.height * pitch));
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
  task.background = job.background;
  const bool picture =
      job.output == Output::kComposite && job.blur_sigma <= 0 && job.background.kind == BackgroundKind::kImage;
  if (picture && job.background_memory == MemoryKind::kHost)
    task.background.image = bring(job.background.image, background_, pinned_background_, task.copy_background, grown);
  if (job.memory != MemoryKind::kDevice) task.frame = bring(job.frame, frame_, pinned_frame_, task.copy_in, grown);
  if (job.yuv) {
    task.nv12 = task.frame;
    task.color = color_of(frame_size(job), job.yuv_color, grown);
    task.frame = {task.color.data, task.color.width, task.color.height, task.color.pitch_bytes, task.color.format};
  }
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

ImageView CudaStaging::color_of(Size size, PixelFormat format, bool& grown) {
  const std::ptrdiff_t pitch = padded_row_bytes(row_bytes(size.width, format));
  grown |= color_.reserve(static_cast<std::size_t>(size.height * pitch));
  return {color_.as<std::uint8_t>(), size.width, size.height, pitch, format};
}

void CudaStaging::deliver(const FrameJob& job, const CudaTask& task) const {
  if (task.copy_out.bytes == 0 || task.copy_out.to == job.result.data) return;
  copy_rows(pinned_result_.as<std::uint8_t>(), task.result.pitch_bytes, job.result.data, job.result.pitch_bytes,
            row_bytes(job.result.width, job.result.format), job.result.height);
}

CudaTask CudaStaging::rehearse(const FrameKind& kind, bool& grown) {
  const auto picture = [&](Buffer& device, PixelFormat format, int height) {
    const std::ptrdiff_t pitch = padded_row_bytes(row_bytes(kind.width, format));
    grown |= device.reserve(static_cast<std::size_t>(height * pitch));
    return ImageView{device.as<std::uint8_t>(), kind.width, height, pitch, format};
  };
  const auto copy = [&](const ImageView& device, Buffer& pinned, bool in) {
    const auto bytes = static_cast<std::size_t>(device.height * device.pitch_bytes);
    grown |= pinned.reserve(bytes);
    return in ? Copy{device.data, pinned.as<void>(), bytes} : Copy{pinned.as<void>(), device.data, bytes};
  };
  const ImageView frame =
      kind.yuv ? picture(frame_, PixelFormat::kGray8, kind.height / 2 * 3) : picture(frame_, kind.format, kind.height);
  CudaTask task;
  task.frame = {frame.data, frame.width, frame.height, frame.pitch_bytes, frame.format};
  if (kind.yuv) {
    task.nv12 = task.frame;
    task.color = color_of({kind.width, kind.height}, kind.format, grown);
    task.frame = {task.color.data, task.color.width, task.color.height, task.color.pitch_bytes, task.color.format};
  }
  task.result = picture(result_, output_format(kind.output), kind.height);
  task.background.kind = kind.background;
  if (kind.background == BackgroundKind::kImage && kind.blur_sigma <= 0) {
    const ImageView back = picture(background_, PixelFormat::kBgr8, kind.height);
    task.background.image = {back.data, back.width, back.height, back.pitch_bytes, back.format};
    if (kind.background_memory == MemoryKind::kHost) task.copy_background = copy(back, pinned_background_, true);
  }
  if (kind.memory == MemoryKind::kHost) {
    task.copy_in = copy(frame, pinned_frame_, true);
    task.copy_out = copy(task.result, pinned_result_, false);
  }
  return task;
}

}  // namespace rmbg
