// SPDX-License-Identifier: Apache-2.0
// Upsamples a matte of the network's size to alpha of the frame's size, guided by the frame's colours (guided filter),
// so that hair and edges are as fine as in the frame.
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

/// Linear functions from colours to alpha, one for each cell of the matte.
struct GuidedLines {
  const float* data = nullptr;  // kLineTerms planes
  Size size{};
  GridPlaces places;  // of the frame's columns
};

/// Bytes of the result and workspace of fit_lines().
std::size_t guided_lines_bytes(Size matte, int frame_width);
/// Bytes for each worker: parallel_workers() of them.
std::size_t guided_scratch_bytes(Size matte);

/// guide: the frame at the matte's size, three planes of bytes, red, green, blue. matte: bytes, without row padding.
/// memory: guided_lines_bytes(), which also hold the result. Runs on all cores; allocates nothing.
GuidedLines fit_lines(const std::uint8_t* guide, const std::uint8_t* matte, Size size, int frame_width, void* memory,
                      std::uint8_t* scratch, Stream stream);

/// One row of alpha, on the calling thread. frame: any format. scratch: one worker's.
void guided_row(const GuidedLines& lines, const ConstImageView& frame, int y, std::uint8_t* scratch,
                std::uint8_t* alpha);

/// Bytes of `lines` for refine().
std::size_t refine_device_bytes(Size matte);

/// fit_lines() and all guided_row()s in GPU memory, with the same bytes. alpha: one plane of the frame's size.
void refine(CudaQueue& queue, const std::uint8_t* guide, const std::uint8_t* matte, Size size, float* lines,
            const ConstImageView& frame, const DevicePlanes& alpha);

}  // namespace rmbg
