// SPDX-License-Identifier: Apache-2.0
// Guided refinement of a coarse matte (He, Sun & Tang 2010, "Guided image filtering"; He & Sun 2015, "Fast guided
// filter"): around each cell, alpha is fitted as a linear function of the frame's colours, which is then applied to the
// full-size frame. New here: closing_offset() makes the function meet the coarse matte. Sums are integers, so that
// their order does not matter.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

constexpr int kFitRadius = 2;     // cells around a cell that its line is fitted to
constexpr int kSmoothRadius = 1;  // cells over which neighbouring lines are averaged
constexpr float kSmoothCells = (2 * kSmoothRadius + 1) * (2 * kSmoothRadius + 1);
constexpr int kFitCells = (2 * kFitRadius + 1) * (2 * kFitRadius + 1);
// The ridge: colour variance (1e-4 on the scale 0..1, or 2.5 levels of 255) below which the fit becomes flat.
constexpr std::int32_t kFitRidge = static_cast<std::int32_t>(1e-4 * 255 * 255 * kFitCells * kFitCells);

constexpr int kGuideSums = 13;
constexpr int kLineTerms = 4;

/// Sums over the cells of a window: of the colours r g b, of their products rr rg rb gg gb bb, of alpha, and of alpha
/// times r g b. One cell's own are the products themselves.
struct GuideSums {
  std::int32_t of[kGuideSums];
};

RMBG_HD GuideSums guide_products(std::int32_t r, std::int32_t g, std::int32_t b, std::int32_t alpha) {
  return {{r, g, b, r * r, r * g, r * b, g * g, g * b, b * b, alpha, alpha * r, alpha * g, alpha * b}};
}

/// alpha = slope . (r, g, b) + offset, everything 0..255.
struct GuidedLine {
  float slope[3];
  float offset;
};

/// Ridge regression through kFitCells cells; solves the 3 x 3 system as L D L^T.
RMBG_HD GuidedLine fit_line(const GuideSums& sums) {
  const std::int32_t* const s = sums.of;
  const auto covariance = [s](int product, int a, int b) {
    return static_cast<float>(s[product] * kFitCells - s[a] * s[b]);
  };
  const auto variance = [s](int product, int a) {
    return static_cast<float>(s[product] * kFitCells - s[a] * s[a] + kFitRidge);
  };
  const float rr = variance(3, 0), rg = covariance(4, 0, 1), rb = covariance(5, 0, 2);
  const float gg = variance(6, 1), gb = covariance(7, 1, 2), bb = variance(8, 2);
  const float ar = covariance(10, 9, 0), ag = covariance(11, 9, 1), ab = covariance(12, 9, 2);

  const float l_gr = rg / rr, l_br = rb / rr;
  const float d_g = gg - l_gr * rg;
  const float u_gb = gb - l_gr * rb;
  const float l_bg = u_gb / d_g;
  const float d_b = bb - l_br * rb - l_bg * u_gb;
  const float y_g = ag - l_gr * ar;
  const float y_b = ab - l_br * ar - l_bg * y_g;

  GuidedLine line;
  line.slope[2] = y_b / d_b;
  line.slope[1] = y_g / d_g - l_bg * line.slope[2];
  line.slope[0] = ar / rr - l_gr * line.slope[1] - l_br * line.slope[2];
  const float explained = line.slope[0] * static_cast<float>(s[0]) + line.slope[1] * static_cast<float>(s[1]) +
                          line.slope[2] * static_cast<float>(s[2]);
  line.offset = (static_cast<float>(s[9]) - explained) / static_cast<float>(kFitCells);
  return line;
}

/// The offset with which the line maps a cell's own colours to its own alpha. So what colours do not explain (soft
/// edges, errors of the fit) is resized like any matte, and only what they explain is added.
RMBG_HD float closing_offset(const GuidedLine& line, std::uint8_t r, std::uint8_t g, std::uint8_t b,
                             std::uint8_t alpha) {
  const float fit = line.slope[0] * static_cast<float>(r) + line.slope[1] * static_cast<float>(g) +
                    line.slope[2] * static_cast<float>(b) + line.offset;
  const float low = fit > 0.0f ? fit : 0.0f;
  return line.offset + (static_cast<float>(alpha) - (low < 255.0f ? low : 255.0f));
}

/// slopes and colours in the order of the frame's bytes.
RMBG_HD float guided_alpha(float slope0, float slope1, float slope2, float offset, std::uint8_t color0,
                           std::uint8_t color1, std::uint8_t color2) {
  return slope0 * static_cast<float>(color0) + slope1 * static_cast<float>(color1) +
         slope2 * static_cast<float>(color2) + offset;
}

}  // namespace rmbg
