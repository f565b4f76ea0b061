// SPDX-License-Identifier: Apache-2.0
// Resampling from any size, pitch and format to any size, by the vector kernels of this processor. A flat image stays
// flat whatever the sizes: the weights of each output sample add up to one.
#include <algorithm>
#include <vector>

#include "fuzz/core/input.h"
#include "preprocess/resample.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rmbg;
  fuzz::Input in(data, size);
  const auto filter = static_cast<ResampleFilter>(in.between(0, 2));
  const bool wide = in.rarely();
  const Size from = {in.between(1, wide ? 5000 : 150), in.between(1, wide ? 40 : 150)};
  const Size to = {in.between(1, wide ? 40 : 150), in.between(1, wide ? 3000 : 150)};
  const auto format = static_cast<PixelFormat>(in.between(0, 4));
  const int count = channels(format);
  const std::ptrdiff_t pitch = row_bytes(from.width, format) + in.between(0, 40);
  ConstImageView src{nullptr, from.width, from.height, pitch, format};
  std::vector<std::uint8_t> image(extent_bytes(src));
  in.fill(image.data(), image.size());
  src.data = image.data();

  ResamplePlan plan;
  plan.build(filter, from, to);
  std::vector<std::uint8_t> between(plan.between().area() * static_cast<std::size_t>(count));
  std::vector<std::uint8_t> planes(to.area() * static_cast<std::size_t>(count));
  const int offsets[] = {0, 1, 2, 3};
  resample(src, plan, offsets, between.data(), {planes.data(), count, to.width, to.height}, {});

  const std::uint8_t first = image[0];
  const auto is_first = [first](std::uint8_t sample) { return sample == first; };
  if (std::all_of(image.begin(), image.end(), is_first))
    fuzz::require(std::all_of(planes.begin(), planes.end(), is_first));
  return 0;
}
