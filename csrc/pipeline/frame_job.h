// SPDX-License-Identifier: Apache-2.0
// What is asked of the pipeline for one frame, and what it answers about the time it took.
#pragma once

#include <optional>

#include "core/image_view.h"
#include "core/memory.h"
#include "core/stream.h"
#include "pipeline/track.h"
#include "postprocess/postprocess.h"
#include "preprocess/nv12.h"
#include "preprocess/preprocess.h"

namespace rmbg {

/// Fixed for the life of a pipeline.
struct PipelineOptions {
  ResampleFilter filter = ResampleFilter::kLanczos;
  Stretch stretch = Stretch::kMinMax;
  MinMax range = kProbabilities;  // of a fixed stretch
  Normalization normalization = kImageNetNormalization;
  int device = -1;  // the GPU to run on; -1: the CPU
};

/// One frame. The memory behind the views belongs to the caller and stays valid until the job is done.
struct FrameJob {
  ConstImageView frame;  // any format, at least 1 x 1; with `yuv` both planes of NV12 as one gray picture
  ImageView result;      // output_channels(output) channels, the frame's size and channel order
  Output output = Output::kAlpha;
  bool premultiplied = false;  // of a cutout
  Background background;       // of a composite, unless blur_sigma > 0
  float blur_sigma = 0.0f;     // > 0: composite over the frame itself, blurred; in pixels

  bool refine = false;  // see PostprocessOptions; refining needs a network whose output is as large as its input
  bool decontaminate = false;

  Track* track = nullptr;  // of a frame that carries something over from the frame before; outlives the job
  TrackPlace place;        // given by the pipeline

  std::optional<YuvMatrix> yuv;                // of an NV12 frame
  PixelFormat yuv_color = PixelFormat::kBgr8;  // the order of colours to be made of it: kBgr8 or kRgb8

  // On a GPU. A frame in its memory is worked on in the order of `stream`, which is the caller's, and so is the result.
  MemoryKind memory = MemoryKind::kHost;             // of frame and result
  MemoryKind background_memory = MemoryKind::kHost;  // of the background's picture
  Stream stream;
};

/// Of the picture that a job is about: of an NV12 frame the luma's.
inline Size frame_size(const FrameJob& job) {
  return {job.frame.width, job.yuv ? job.frame.height / 3 * 2 : job.frame.height};
}
inline PixelFormat frame_format(const FrameJob& job) { return job.yuv ? job.yuv_color : job.frame.format; }

/// Throws std::invalid_argument when the frame itself is wrong.
void check_frame(const FrameJob& job);

/// Throws std::invalid_argument when the views of a job do not fit each other.
void check(const FrameJob& job);

/// Times of one frame, in milliseconds: wall-clock on the CPU. On a GPU process() knows the total alone, and measure()
/// the stages, from events.
struct StageTimes {
  double preprocess_ms = 0;
  double network_ms = 0;
  double postprocess_ms = 0;
  double total_ms = 0;
  double copy_in_ms = 0;
  double copy_out_ms = 0;
};

}  // namespace rmbg
