// SPDX-License-Identifier: Apache-2.0
// What a matte takes over from the frames before it: the stabilised probability, and the range of a running stretch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/reduce.h"
#include "core/stream.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

/// One frame's part in what is carried from frame to frame.
struct TemporalFrame {
  float* prediction;          // (height, width), in the network's own memory; replaced
  Size size;                  // of the prediction
  const std::uint8_t* guide;  // the frame as the network saw it, before normalisation
  std::int64_t guide_bytes;
};

/// What is carried over. Undefined before the first frame.
struct TemporalState {
  float* matte;         // as the prediction
  std::uint8_t* guide;  // as the guide
  MinMax* range;        // of the running stretch
};

/// prediction becomes the stabilised one, and so does state.matte; state.guide becomes the frame's. first: there is no
/// frame before, or it does not count; a cut between scenes is found here. scratch: 4 floats for each of the
/// prediction's. Runs on all cores; allocates nothing.
void stabilize(const TemporalFrame& frame, bool first, const TemporalState& state, float* scratch, Stream stream);

/// The range to stretch this frame's prediction by: its own, smoothed over the frames before.
MinMax running_range(const TemporalFrame& frame, bool first, const TemporalState& state);

}  // namespace rmbg
