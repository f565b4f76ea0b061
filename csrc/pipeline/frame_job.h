// SPDX-License-Identifier: Apache-2.0
// The job of one frame: its memory, its options, and the times it took.
#pragma once

#include "core/buffer.h"
#include "core/image_view.h"
#include "core/stream.h"
#include "pipeline/track.h"
#include "postprocess/postprocess.h"
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
  ConstImageView frame;  // any format, at least 1 x 1; NV12: both planes as one gray image
  ImageView result;      // output_channels() channels, the frame's size and channel order
  FrameOptions options;
  PixelFormat nv12_color = PixelFormat::kBgr8;  // what an NV12 frame is converted to: kBgr8 or kRgb8

  Track* track = nullptr;  // of a frame that depends on the previous one; outlives the job
  TrackPlace place;        // set by the pipeline

  // On a GPU. Work on a frame in GPU memory goes on the caller's `stream`.
  MemoryKind memory = MemoryKind::kHost;             // of frame and result
  MemoryKind background_memory = MemoryKind::kHost;  // of the background's image
  Stream stream;
};

/// The visible size: of an NV12 frame the luma's.
inline Size frame_size(const FrameJob& job) {
  return {job.frame.width, job.options.nv12 ? job.frame.height / 3 * 2 : job.frame.height};
}
inline PixelFormat frame_format(const FrameJob& job) { return job.options.nv12 ? job.nv12_color : job.frame.format; }

/// Throws std::invalid_argument when the frame itself is wrong.
void check_frame(const FrameJob& job);

/// Throws std::invalid_argument when the views of a job do not match.
void check(const FrameJob& job);

/// Times of one frame in milliseconds: wall-clock on the CPU. On a GPU process() gives only the total; measure() gives
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
