// SPDX-License-Identifier: Apache-2.0
// Checks of a job. Python has checked with friendlier messages; these protect the memory.
#include "pipeline/frame_job.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "postprocess/blur.h"

namespace rmbg {
namespace {

template <typename View>
std::string describe(const View& view) {
  return std::to_string(view.width) + "x" + std::to_string(view.height) + " with " +
         std::to_string(channels(view.format)) + " channels";
}

template <typename View>
void check_view(const View& view, const char* what) {
  if (view.data == nullptr || view.width < 1 || view.height < 1)
    throw std::invalid_argument(std::string(what) + " is empty (" + describe(view) + "); at least 1x1 is needed");
  if (view.pitch_bytes < static_cast<std::ptrdiff_t>(view.width) * channels(view.format))
    throw std::invalid_argument(std::string(what) + ": rows are " + std::to_string(view.pitch_bytes) +
                                " bytes apart, less than a row of " + describe(view));
}

template <typename View>
void check_fits(const View& view, const char* what, Size frame, int channel_count) {
  check_view(view, what);
  if (view.width != frame.width || view.height != frame.height || channels(view.format) != channel_count)
    throw std::invalid_argument(std::string(what) + " is " + describe(view) + "; expected " +
                                std::to_string(frame.width) + "x" + std::to_string(frame.height) + " with " +
                                std::to_string(channel_count) + " channels");
}

void check_nv12(const ConstImageView& view) {
  if (channels(view.format) != 1 || view.width % 2 != 0 || view.height % 3 != 0)
    throw std::invalid_argument("frame is " + describe(view) +
                                "; expected NV12 as (height * 3/2, width) with an even height and width");
}

}  // namespace

void check_frame(const FrameJob& job) {
  check_view(job.frame, "frame");
  if (job.options.nv12) check_nv12(job.frame);
}

void check(const FrameJob& job) {
  check_frame(job);
  check_fits(job.result, "result", frame_size(job), output_channels(job.options.output));
  if (!(job.options.blur_sigma <= kLargestSigma))
    throw std::invalid_argument("the blur's sigma is " + std::to_string(job.options.blur_sigma) +
                                " pixels; expected at most 10000");
  if (over_image(job.options)) check_fits(job.options.background.image, "background", frame_size(job), 3);
}

}  // namespace rmbg
