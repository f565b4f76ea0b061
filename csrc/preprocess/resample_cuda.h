// SPDX-License-Identifier: Apache-2.0
// Resampling on the GPU: the passes of resample.h over the same tables, with the same bytes as result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "core/image_view.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

/// A ResampleTable in GPU memory.
struct DeviceTable {
  const std::int32_t* first = nullptr;
  const std::int32_t* count = nullptr;
  const std::int32_t* weights = nullptr;  // (out_size, taps)
  int in_size = 0;
  int out_size = 0;
  std::int64_t taps = 0;
};

/// How one block of the pass along rows is cut; depends on the table only.
struct RowTiling {
  int outputs = 0;      // samples of a row that a block makes; 0: no tile fits, and the samples are read where they lie
  int pitch_bytes = 0;  // of a row of input samples in shared memory
};

/// The tiling that a table allows for pictures of so many bytes a pixel and so many planes made of them.
RowTiling row_tiling(const ResampleTable& table, int bytes_per_pixel, int planes);

/// A ResamplePlan in GPU memory; `memory` holds the tables. One is shared by all who have its pointers.
struct DevicePlan {
  DeviceTable along_x, along_y;
  RowTiling tiling;  // of the pass along rows
  bool columns_first = false;
  Size in{}, out{}, between{};
};

/// Copies a plan's tables into `memory`, which grows as needed, and waits until they are there.
/// rows_bytes_per_pixel, rows_planes: what the pass along rows will be given.
DevicePlan upload(const ResamplePlan& plan, int rows_bytes_per_pixel, int rows_planes, Buffer& memory,
                  cudaStream_t stream);

/// `count` planes of bytes in GPU memory: rows pitch_bytes apart, planes behind one another.
struct DevicePlanes {
  std::uint8_t* data = nullptr;
  std::int64_t count = 0;
  int width = 0;
  int height = 0;
  std::int64_t pitch_bytes = 0;

  std::size_t bytes() const { return static_cast<std::size_t>(count * height * pitch_bytes); }
};

/// Along rows: an interleaved picture to planes; plane p takes byte plane_offset[p] of each pixel (three are given).
void resample_rows(CudaQueue& queue, const ConstImageView& src, const DeviceTable& table, RowTiling tiling,
                   const int* plane_offset, const DevicePlanes& dst);

/// Along columns: planes to planes of another height, width * `bytes_per_sample` bytes of each row taken as they lie.
void resample_columns(CudaQueue& queue, const DevicePlanes& src, const DeviceTable& table, const DevicePlanes& dst);

}  // namespace rmbg
