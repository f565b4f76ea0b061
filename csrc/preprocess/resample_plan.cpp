// SPDX-License-Identifier: Apache-2.0
// Every operation is in the order Pillow does it: the weights must agree to the last bit.
#include "preprocess/resample_plan.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

constexpr double kPi = 3.14159265358979323846;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= kPi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kBilinear:
      return {triangle, 1.0};
    case ResampleFilter::kBox:
      return {box, 0.5};
    case ResampleFilter::kLanczos:
      break;
  }
  return {lanczos, 3.0};
}

std::int32_t to_fixed_point(double weight) {
  const double scaled = weight * (1 << kWeightBits);
  return static_cast<std::int32_t>(weight < 0 ? -0.5 + scaled : 0.5 + scaled);
}

}  // namespace

void ResampleTable::build(ResampleFilter new_filter, int new_in_size, int new_out_size) {
  if (new_in_size <= 0 || new_out_size <= 0) throw std::invalid_argument("resample: sizes must be positive");
  filter = new_filter;
  in_size = new_in_size;
  out_size = new_out_size;

  const Kernel kernel = kernel_of(filter);
  const double scale = static_cast<double>(in_size) / out_size;
  const double stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  const double shrink = 1.0 / stretch;
  taps = static_cast<int>(std::ceil(support)) * 2 + 1;

  first.resize(out_size);
  count.resize(out_size);
  weights.assign(static_cast<std::size_t>(out_size) * taps, 0);
  window_.resize(taps);
  for (int x = 0; x < out_size; ++x) {
    const double center = (x + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in_size);
    double total = 0.0;
    for (int tap = 0; tap < end - begin; ++tap) {
      window_[tap] = kernel.weight((tap + begin - center + 0.5) * shrink);
      total += window_[tap];
    }
    first[x] = begin;
    count[x] = end - begin;
    std::int32_t* row = weights.data() + static_cast<std::int64_t>(x) * taps;
    for (int tap = 0; tap < end - begin; ++tap)
      row[tap] = to_fixed_point(total != 0.0 ? window_[tap] / total : window_[tap]);
  }
  pack();
}

void ResampleTable::pack() {
  const int widest = *std::max_element(count.begin(), count.end());
  packed_taps = (widest + kGroup - 1) / kGroup * kGroup;
  if (packed_taps > in_size) packed_taps = 0;
  packed_first.resize(out_size);
  packed.assign(static_cast<std::size_t>(out_size) * packed_taps * 2, 0);
  if (packed_taps == 0) return;
  for (int x = 0; x < out_size; ++x) {
    packed_first[x] = std::min(first[x], in_size - packed_taps);
    const int moved = first[x] - packed_first[x];
    std::int16_t* row = packed.data() + static_cast<std::int64_t>(x) * packed_taps * 2;
    for (int tap = 0; tap < count[x]; ++tap) {
      const std::int32_t weight = weights_of(x)[tap];
      const int slot = tap + moved;
      std::int16_t* group = row + slot / kGroup * (2 * kGroup) + slot % kGroup;
      group[0] = static_cast<std::int16_t>(weight >> kLowBits);
      group[kGroup] = static_cast<std::int16_t>(weight & ((1 << kLowBits) - 1));
    }
  }
}

}  // namespace rmbg
