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

namespace rmbg {

// The tile of the pass along rows, in shared memory. A warp computes one output sample for 32 rows: its lanes walk down
// the tile with the same weights. Rows are an odd number of words apart, so that lanes read from different banks.
// Behind the weights of the block's outputs lies where each output's window begins.
constexpr int kTileRows = 32;
constexpr int kTileOutputs = 32;                     // at most, per row of a block
constexpr int kResultPitchBytes = kTileOutputs + 4;  // of the results on their way out: 9 words
/// Shared memory of a block on every GPU without opt-in (CUDA programming guide, "Compute Capabilities"), less what
/// kernels use besides the tile.
constexpr std::size_t kTileBytes = 48 * 1024 - 1024;

/// How one block of the pass along rows is cut; depends on the table only.
struct RowTiling {
  int outputs = 0;      // samples per row of a block; 0: no tile fits, and samples are read directly
  int groups = 0;       // of four weights, for each of them
  int pitch_bytes = 0;  // of a row of input samples in shared memory

  RMBG_HD std::size_t weights_bytes() const { return sizeof(PackedTaps) * outputs * groups; }
  RMBG_HD std::size_t starts_bytes() const { return sizeof(std::int32_t) * outputs; }
  std::size_t bytes(int planes) const {
    return weights_bytes() + starts_bytes() +
           static_cast<std::size_t>(kTileRows) * (pitch_bytes + planes * kResultPitchBytes);
  }
};

/// For rows of so many bytes that begin up to 3 bytes into a word and are read in whole words.
constexpr int tile_pitch_bytes(int bytes) { return ((bytes + 3 + 4 + 3) / 4 | 1) * 4; }

/// A ResampleTable in GPU memory.
struct DeviceTable {
  const std::int32_t* first = nullptr;
  const std::int32_t* count = nullptr;
  const std::int32_t* weights = nullptr;  // (out_size, taps)
  // The same in groups of four taps. Windows are widened to whole groups and shifted to stay inside the input.
  const std::int32_t* packed_first = nullptr;
  const PackedTaps* packed = nullptr;  // (out_size, groups)
  int in_size = 0;
  int out_size = 0;
  int taps = 0;
  int groups = 0;  // 0 when the input is narrower than a window

  RMBG_HD const std::int32_t* weights_of(int x) const { return weights + static_cast<std::int64_t>(x) * taps; }
  RMBG_HD const PackedTaps* packed_of(int x) const { return packed + static_cast<std::int64_t>(x) * groups; }
};

/// The tiling for images of so many bytes per pixel that are resampled to so many planes.
RowTiling row_tiling(const ResampleTable& table, int bytes_per_pixel, int planes);

/// A ResamplePlan in GPU memory, which a TableUpload's `memory` owns.
struct DevicePlan {
  DeviceTable along_x, along_y;
  RowTiling tiling;  // of the pass along rows
  bool columns_first = false;
  Size in{}, out{}, between{};
};

/// Uploads the tables of plans with one copy: add() each, then start().
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

/// Along rows: an interleaved image to planes; plane p takes byte plane_offset[p] (of three) of each pixel. Returns the
/// number of blocks; each stores its largest byte in `largest`, unless it is null.
int resample_rows(CudaQueue& queue, const ConstImageView& src, const DevicePlan& plan, const int* plane_offset,
                  const DevicePlanes& dst, std::uint8_t* largest = nullptr);

/// Along columns: planes of bytes to planes of another height. `largest` and the result are as above.
int resample_columns(CudaQueue& queue, const DevicePlanes& src, const DeviceTable& table, const DevicePlanes& dst,
                     std::uint8_t* largest = nullptr);

/// An upper bound of the blocks of either, for three planes of this size.
constexpr std::size_t resample_blocks_bound(Size size) {
  return 3 * static_cast<std::size_t>(size.width) * ((static_cast<std::size_t>(size.height) + 7) / 8);
}

}  // namespace rmbg
