// SPDX-License-Identifier: Apache-2.0
// From a matte of the network's size to alpha of the frame's, led by the frame's colours (guided filter): hair and
// edges as fine as the frame shows them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/image_view.h"
#include "core/stream.h"
#include "postprocess/grid_row.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

/// Lines that lead from colours to alpha, one for each cell of the matte.
struct GuidedLines {
  const float* data = nullptr;  // kLineTerms planes
  Size size{};
  GridPlaces places;  // of the frame's columns
};

/// Bytes of what fit_lines() makes and works with.
std::size_t guided_lines_bytes(Size matte, int frame_width);
/// Bytes for each worker: parallel_workers() of them.
std::size_t guided_scratch_bytes(Size matte);

/// guide: the frame at the matte's size, three planes of bytes, red, green, blue. matte: bytes, without row padding.
/// memory: guided_lines_bytes(), of which the answer is a part. Runs on all cores; allocates nothing.
GuidedLines fit_lines(const std::uint8_t* guide, const std::uint8_t* matte, Size size, int frame_width, void* memory,
                      std::uint8_t* scratch, Stream stream);

/// One row of alpha, on the calling thread. frame: any format. scratch: one worker's.
void guided_row(const GuidedLines& lines, const ConstImageView& frame, int y, std::uint8_t* scratch,
                std::uint8_t* alpha);

}  // namespace rmbg
