// SPDX-License-Identifier: Apache-2.0
// The subject's own colours at its edge, without the old background's, to avoid a halo over a new background.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/image_view.h"
#include "core/stream.h"
#include "postprocess/grid_row.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

class CudaQueue;
struct DevicePlanes;

/// A frame cut into blocks of side x side pixels; the last ones may be smaller.
struct BlockGrid {
  Size frame{};
  int side = 1;
  Size blocks{};

  std::size_t area() const { return blocks.area(); }
};
BlockGrid block_grid(Size frame);

/// Foreground and background colours of each block, in the order of the frame's bytes: kGroundTerms planes of floats.
struct GroundPlanes {
  const float* data = nullptr;
  const std::uint32_t* near_alpha = nullptr;  // of near_edge(), for each block
  BlockGrid grid;
  GridPlaces places;  // of the frame's columns
};

/// The memory of estimate_grounds(); owned by the caller.
struct ForegroundWorkspace {
  std::uint32_t* means;    // kBlockMeans * grid area
  std::uint32_t* rows;     // as many
  std::uint32_t* wide;     // as many
  std::uint32_t* near;     // as many
  float* grounds;          // kGroundTerms * grid area
  std::uint32_t* places;   // GridPlaces::words(frame width)
  std::uint32_t* scratch;  // foreground_scratch_words() for each worker
};
std::size_t foreground_scratch_words(const BlockGrid& grid);

/// The means of one row of blocks, on the calling thread. alpha: the frame's size, with a pitch of alpha_pitch bytes.
void block_row_means(const ConstImageView& frame, const std::uint8_t* alpha, std::ptrdiff_t alpha_pitch,
                     const BlockGrid& grid, int block_row, std::uint32_t* scratch, std::uint32_t* means);

/// From the means of all blocks. Runs on all cores; allocates nothing.
GroundPlanes estimate_grounds(const BlockGrid& grid, const ForegroundWorkspace& workspace, Stream stream);

/// One row of the frame, with the foreground's colours near edges, in the frame's format; its own alpha is kept.
/// scratch: one worker's. out may not be the frame.
void foreground_row(const GroundPlanes& grounds, const ConstImageView& frame, const std::uint8_t* alpha, int y,
                    std::uint32_t* scratch, std::uint8_t* out);

/// Bytes of the workspace of show_foreground().
std::size_t foreground_device_bytes(Size frame);

/// All of the above in GPU memory, with the same bytes. front: the result, in the frame's format; it may not be the
/// frame. alpha: one plane of the frame's size.
void show_foreground(CudaQueue& queue, const ConstImageView& frame, const DevicePlanes& alpha, void* workspace,
                     const ImageView& front);

}  // namespace rmbg
