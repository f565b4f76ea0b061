// SPDX-License-Identifier: Apache-2.0
// Network output to result: stretch, truncate, resize to the frame (bit-exact with Pillow) and, in the same pass,
// alpha, cutout or composite. Optionally refines alpha by the frame's colours and decontaminates the subject's colours.
#pragma once

#include <cstdint>

#include "core/image_view.h"
#include "core/reduce.h"
#include "core/stream.h"
#include "postprocess/foreground.h"
#include "postprocess/frame_options.h"
#include "preprocess/resample.h"

namespace rmbg {

/// kMinMax stretches each image to the full range (the reference recipe). kFixed stretches a given range; 0..1 keeps
/// the probability, for video, where stretching each frame flickers, and for scenes that may be empty.
enum class Stretch { kMinMax, kFixed };
constexpr MinMax kProbabilities{0.0f, 1.0f};

/// The frame's options, and the stretch, which the pipeline decides.
struct PostprocessOptions : FrameOptions {
  Stretch stretch = Stretch::kMinMax;
  MinMax range = kProbabilities;  // of kFixed
};

/// The memory of postprocess(), sized for one frame; owned by the caller. "For each worker" means parallel_workers()
/// contiguous parts.
struct PostprocessWorkspace {
  const ResamplePlan* plan;  // network size -> frame size
  std::uint8_t* matte;       // network height * network width bytes
  std::uint8_t* between;     // as many bytes as plan->between() has pixels
  std::uint8_t* alpha_rows;  // frame width bytes for each worker

  // With options.refine:
  const std::uint8_t* guide = nullptr;     // the frame at the matte's size: planes red, green, blue
  void* lines = nullptr;                   // guided_lines_bytes()
  std::uint8_t* guided_scratch = nullptr;  // guided_scratch_bytes() for each worker

  // If over_blur():
  std::uint8_t* blurred = nullptr;       // frame height * frame width * 3 bytes
  std::uint8_t* blur_scratch = nullptr;  // as many; where shows_foreground(), too, 8 for each pixel

  // If shows_foreground():
  std::uint8_t* alpha = nullptr;       // frame height * frame width bytes
  std::uint8_t* front_rows = nullptr;  // a row of the frame for each worker
  ForegroundWorkspace foreground{};
};

/// prediction: (network height, network width) float32. frame: as it was given to preprocess(); its own alpha,
/// if it has one, is multiplied in. dst: output_channels() channels, the frame's size and channel order.
/// dst may be the frame only where both have the same channels. Runs on all cores; allocates nothing.
void postprocess(const float* prediction, const ConstImageView& frame, const PostprocessOptions& options,
                 const PostprocessWorkspace& workspace, const ImageView& dst, Stream stream);

}  // namespace rmbg
