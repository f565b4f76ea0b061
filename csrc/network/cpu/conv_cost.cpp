// SPDX-License-Identifier: Apache-2.0
// Which algorithm a 3x3 convolution runs with. Winograd's F(m x m) multiplies less as m grows, but its weights grow
// to (m + 2)^2 / 9 of the original, and on small maps they, not the arithmetic, are what the memory must deliver.
#include "network/cpu/plan.h"

namespace rmbg::cpu {
namespace {

// In multiply-adds: what one weight from memory costs, and one value that a transform writes or reads (measured).
constexpr double kPerWeight = 30.0;
constexpr double kPerTransformed = 5.0;

double winograd_cost(const Shape& in, int cout, int dilation, int m) {
  const auto tiles = [&](int size) { return ((size + dilation - 1) / dilation + m - 1) / m * dilation; };
  const double frequencies = (m + 2.0) * (m + 2.0);
  const double count = static_cast<double>(tiles(in.height)) * tiles(in.width) * frequencies;
  const double weights = frequencies * in.channels * cout;
  return count * in.channels * cout + kPerTransformed * count * (in.channels + cout) + kPerWeight * weights;
}

/// Taps that fall outside the map above or below are skipped.
double direct_cost(const Shape& in, int cout, int dilation) {
  const int outside = dilation < in.height ? dilation : in.height;
  const double rows = 3.0 * in.height - 2.0 * outside;
  const double weights = 9.0 * in.channels * cout;
  return rows * in.width * 3.0 * in.channels * cout + kPerWeight * weights;
}

}  // namespace

ConvMethod choose_method(const Shape& in, int cout, int dilation) {
  ConvMethod best = ConvMethod::kDirect;
  double cost = direct_cost(in, cout, dilation);
  const auto consider = [&](ConvMethod method, double other) {
    if (other < cost) {
      cost = other;
      best = method;
    }
  };
  consider(ConvMethod::kWinograd2, winograd_cost(in, cout, dilation, 2));
  consider(ConvMethod::kWinograd4, winograd_cost(in, cout, dilation, 4));
  return best;
}

}  // namespace rmbg::cpu
