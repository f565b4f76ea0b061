// SPDX-License-Identifier: Apache-2.0
// What is carried from frame to frame: the stabilized probability, and the range of a running stretch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/data_type.h"
#include "core/reduce.h"
#include "core/stream.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

class CudaQueue;

/// The current frame.
struct TemporalFrame {
  float* prediction;          // (height, width), in the network's own memory; replaced
  Size size;                  // of the prediction
  const std::uint8_t* guide;  // the frame at the network's size, before normalization
  std::int64_t guide_bytes;
};

/// The carried state. Undefined before the first frame.
struct TemporalState {
  float* matte;         // as the prediction
  std::uint8_t* guide;  // as the guide
  MinMax* range;        // of the running stretch
};

/// Replaces the prediction and state.matte by the stabilized prediction, and state.guide by the frame's. first: ignore
/// the state; scene cuts are detected here. scratch: 4 floats for each of the prediction's. Runs on all cores;
/// allocates nothing.
void stabilize(const TemporalFrame& frame, bool first, const TemporalState& state, float* scratch, Stream stream);

/// The range to stretch this frame's prediction by: its own, smoothed over the previous frames.
MinMax running_range(const TemporalFrame& frame, bool first, const TemporalState& state);

/// Bytes of the workspace of stabilize() on the GPU.
std::size_t stabilize_device_bytes(Size prediction);

/// Both in GPU memory, with the same numbers. prediction: of `dtype`. partials: kPartials, which receive the range to
/// stretch the prediction by.
void stabilize(CudaQueue& queue, void* prediction, DataType dtype, Size size, const std::uint8_t* guide,
               std::int64_t guide_bytes, bool first, const TemporalState& state, void* workspace);
void running_range(CudaQueue& queue, const void* prediction, DataType dtype, Size size, bool first,
                   const TemporalState& state, MinMax* partials);

}  // namespace rmbg
