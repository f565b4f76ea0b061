// SPDX-License-Identifier: Apache-2.0
// Checks of a job. Python has checked with friendlier messages; these protect the memory.
#include "pipeline/frame_job.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

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

/// Whether two images share a byte. Rows may be padded, so that images side by side in one array do not.
bool overlap(const ConstImageView& a, const ConstImageView& b) {
  const std::intptr_t start_a = reinterpret_cast<std::intptr_t>(a.data);
  const std::intptr_t start_b = reinterpret_cast<std::intptr_t>(b.data);
  const auto extent = [](const ConstImageView& view) { return static_cast<std::intptr_t>(extent_bytes(view)); };
  if (start_a >= start_b + extent(b) || start_b >= start_a + extent(a)) return false;
  for (int y = 0; y < a.height; ++y) {
    const std::intptr_t begin = start_a + y * a.pitch_bytes - start_b, stop = begin + row_bytes(a.width, a.format);
    if (stop <= 0) continue;
    const std::intptr_t last = std::min<std::intptr_t>((stop - 1) / b.pitch_bytes, b.height - 1);
    if (begin < last * b.pitch_bytes + row_bytes(b.width, b.format)) return true;  // the last row of b before the end
  }
  return false;
}

/// In place is fine where each pixel is read before it is written and no other pixel is made of it.
void check_apart(const FrameJob& job) {
  const ConstImageView result{job.result.data, job.result.width, job.result.height, job.result.pitch_bytes,
                              job.result.format};
  const ConstImageView& image = job.options.background.image;
  for (const auto& [view, what] : {std::pair(&job.frame, "frame"), std::pair(&image, "background")}) {
    if (view == &image && !over_image(job.options)) continue;
    const bool in_place = view->data == result.data && view->pitch_bytes == result.pitch_bytes &&
                          channels(view->format) == channels(result.format) && !job.options.nv12;
    if (!in_place && overlap(*view, result))
      throw std::invalid_argument(std::string("result (out=) overlaps the memory of the ") + what +
                                  "; expected memory of its own, or exactly that of the " + what);
  }
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
  check_apart(job);
}

}  // namespace rmbg
