// SPDX-License-Identifier: Apache-2.0
// What is asked of the pipeline for one frame, and what it answers about the time it took.
#pragma once

#include "core/image_view.h"
#include "postprocess/postprocess.h"
#include "preprocess/preprocess.h"

namespace rmbg {

/// Fixed for the life of a pipeline.
struct PipelineOptions {
  ResampleFilter filter = ResampleFilter::kLanczos;
  Stretch stretch = Stretch::kMinMax;
  Normalization normalization = kImageNetNormalization;
};

/// One frame. The memory behind the views belongs to the caller and stays valid until the job is done.
struct FrameJob {
  ConstImageView frame;  // any format, at least 1 x 1
  ImageView result;      // output_channels(output) channels, the frame's size and channel order
  Output output = Output::kAlpha;
  bool premultiplied = false;  // of a cutout
  Background background;       // of a composite, unless blur_sigma > 0
  float blur_sigma = 0.0f;     // > 0: composite over the frame itself, blurred; in pixels
};

/// Throws std::invalid_argument when the views of a job do not fit each other.
void check(const FrameJob& job);

/// Wall-clock times of one frame, in milliseconds.
struct StageTimes {
  double preprocess_ms = 0;
  double network_ms = 0;
  double postprocess_ms = 0;
};

}  // namespace rmbg
