// SPDX-License-Identifier: Apache-2.0
// The weights of one axis of a resampling, as Pillow computes them (Resample.c: precompute_coeffs and
// normalize_coeffs_8bpc): window and weights in double, then rounded to 22-bit fixed point.
#pragma once

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
  // halves fit 16 bits and the sum is exact: sum(high * p) * 2^12 + sum(low * p). Windows are widened to
  // packed_taps and moved to stay inside the input. packed_taps is 0 when the input is narrower than that.
  static constexpr int kLowBits = 12;
  static constexpr int kGroup = 8;         // taps in a group: 8 high halves, then 8 low halves
  int packed_taps = 0;                     // a multiple of kGroup
  std::vector<std::int32_t> packed_first;  // (out_size)
  std::vector<std::int16_t> packed;        // (out_size, packed_taps / kGroup, 2, kGroup)

 private:
  void pack();
  std::vector<double> window_;  // the weights of one output sample before rounding
};

}  // namespace rmbg
