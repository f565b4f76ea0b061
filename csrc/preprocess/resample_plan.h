// SPDX-License-Identifier: Apache-2.0
// The weights of a resampling as Pillow computes them (Resample.c: precompute_coeffs and normalize_coeffs_8bpc): window
// and weights in double, then rounded to 22-bit fixed point. A table is one axis; a plan is both, and their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rmbg {

/// Pillow's LANCZOS (support 3), BILINEAR (support 1) and BOX (support 0.5, area averaging).
/// When an image shrinks the kernel widens with it, so none of them aliases.
enum class ResampleFilter { kLanczos, kBilinear, kBox };

struct ResampleTable {
  /// Replaces the contents; reuses the memory. Sizes in samples, both positive.
  void build(ResampleFilter filter, int in_size, int out_size);

  bool identity() const { return in_size == out_size; }
  const std::int32_t* weights_of(int x) const { return weights.data() + static_cast<std::int64_t>(x) * taps; }
  const std::int16_t* packed_of(int x) const { return packed.data() + static_cast<std::int64_t>(x) * packed_taps * 2; }

  ResampleFilter filter = ResampleFilter::kLanczos;
  int in_size = 0;
  int out_size = 0;
  int taps = 0;                       // weights kept for each output sample
  std::vector<std::int32_t> first;    // (out_size) first input sample of the window
  std::vector<std::int32_t> count;    // (out_size) samples in the window, at most taps
  std::vector<std::int32_t> weights;  // (out_size, taps) 22-bit fixed point

  // The same for 16-bit vector multiplies. A weight is high * 2^12 + low with 0 <= low < 2^12, so both
  // halves fit 16 bits and the sum is exact: sum(high * p) * 2^12 + sum(low * p). Windows are widened to packed_taps
  // and shifted to stay inside the input. packed_taps is 0 if the input is narrower than that.
  static constexpr int kLowBits = 12;
  static constexpr int kGroup = 8;         // taps in a group: 8 high halves, then 8 low halves
  int packed_taps = 0;                     // a multiple of kGroup
  std::vector<std::int32_t> packed_first;  // (out_size)
  std::vector<std::int16_t> packed;        // (out_size, packed_taps / kGroup, 2, kGroup)

 private:
  void pack();
  std::vector<double> window_;  // the weights of one output sample before rounding
};

struct Size {
  int width, height;

  constexpr std::size_t area() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(height); }
};

/// A table for each axis, and which comes first: it matters to the bit, as the first pass is rounded to bytes.
struct ResamplePlan {
  /// Replaces the contents; reuses the memory.
  void build(ResampleFilter filter, Size in, Size out) {
    along_x.build(filter, in.width, out.width);
    along_y.build(filter, in.height, out.height);
    // Pillow 13 starts with the columns when that makes the image smaller sooner; before version 13 it always
    // started with the rows. Found by experiment (tests/preprocess/test_resample.py holds us to it).
    columns_first = out.height < in.height && 2 * (in.width - out.width) < in.height - out.height;
  }

  Size in() const { return {along_x.in_size, along_y.in_size}; }
  Size out() const { return {along_x.out_size, along_y.out_size}; }
  /// Of the image between the passes.
  Size between() const {
    return columns_first ? Size{along_x.in_size, along_y.out_size} : Size{along_x.out_size, along_y.in_size};
  }

  ResampleTable along_x;  // weights of the pass along rows
  ResampleTable along_y;  // weights of the pass along columns
  bool columns_first = false;
};

}  // namespace rmbg
