// SPDX-License-Identifier: Apache-2.0
// Resampling on the GPU: the passes of resample.h over the same tables, with the same bytes as result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "core/image_view.h"
#include "preprocess/packed_taps.h"
#include "preprocess/resample_plan.h"
#include "preprocess/resample_tile.h"

namespace rmbg {

/// A ResampleTable in GPU memory.
struct DeviceTable {
  const std::int32_t* first = nullptr;
  const std::int32_t* count = nullptr;
  const std::int32_t* weights = nullptr;  // (out_size, taps)
  // The same in groups of four taps. Windows are widened to whole groups and moved to stay inside the input.
  const std::int32_t* packed_first = nullptr;
  const PackedTaps* packed = nullptr;  // (out_size, groups)
  int in_size = 0;
  int out_size = 0;
  int taps = 0;
  int groups = 0;  // 0 when the input is narrower than a window

  RMBG_HD const std::int32_t* weights_of(int x) const { return weights + static_cast<std::int64_t>(x) * taps; }
  RMBG_HD const PackedTaps* packed_of(int x) const { return packed + static_cast<std::int64_t>(x) * groups; }
};

/// The tiling that a table allows for images of so many bytes a pixel and so many planes made of them.
RowTiling row_tiling(const ResampleTable& table, int bytes_per_pixel, int planes);

/// A ResamplePlan in GPU memory; `memory` holds the tables. One is shared by all who have its pointers.
struct DevicePlan {
  DeviceTable along_x, along_y;
  RowTiling tiling;  // of the pass along rows
  bool columns_first = false;
  Size in{}, out{}, between{};
};

/// Brings the tables of some plans to the GPU with one copy: add() each, then start().
class TableUpload {
 public:
  /// Both grow as needed. `staging` is pinned memory, which must stay as it is until the copy has ended.
  TableUpload(std::initializer_list<const ResamplePlan*> plans, Buffer& memory, Buffer& staging);

  /// rows_bytes_per_pixel, rows_planes: what the pass along rows will be given.
  DevicePlan add(const ResamplePlan& plan, int rows_bytes_per_pixel, int rows_planes);
  void start(cudaStream_t stream) const;

 private:
  std::uint8_t *device_, *host_;
  std::size_t bytes_ = 0;  // written so far
};

/// `count` planes of bytes in GPU memory: rows pitch_bytes apart, planes behind one another.
struct DevicePlanes {
  std::uint8_t* data = nullptr;
  std::int64_t count = 0;
  int width = 0;
  int height = 0;
  std::int64_t pitch_bytes = 0;

  std::size_t bytes() const { return static_cast<std::size_t>(count * height * pitch_bytes); }
};

/// Along rows: an interleaved image to planes; plane p takes byte plane_offset[p] of each pixel (three are given).
/// Gives the number of blocks; with `largest`, each has left there the largest byte that it made.
int resample_rows(CudaQueue& queue, const ConstImageView& src, const DevicePlan& plan, const int* plane_offset,
                  const DevicePlanes& dst, std::uint8_t* largest = nullptr);

/// Along columns: planes of bytes to planes of another height.
/// `largest` and the answer as above.
int resample_columns(CudaQueue& queue, const DevicePlanes& src, const DeviceTable& table, const DevicePlanes& dst,
                     std::uint8_t* largest = nullptr);

/// The most blocks that either takes to make three planes of this size.
constexpr std::size_t resample_blocks_bound(Size size) {
  return 3 * static_cast<std::size_t>(size.width) * ((static_cast<std::size_t>(size.height) + 7) / 8);
}

}  // namespace rmbg
