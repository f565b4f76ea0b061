// SPDX-License-Identifier: Apache-2.0
// Estimates the subject's colour where a pixel mixes subject and background. From coarse to fine windows, foreground F
// and background B are the constant colours that best explain the pixels as I = alpha F + (1 - alpha) B, pulled towards
// the coarser window's estimate. The start is the blur of Forte 2021 ("Approximate fast foreground colour estimation"),
// and so is the last step, which restores each pixel's own deviation. Sums run over the frame's full resolution, where
// strands of hair, which a smaller image loses, still separate the two colours.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rmbg {

constexpr int kForegroundGrid = 320;  // blocks along a frame's longer side, at most
constexpr int kForegroundWide = 12;   // blocks around a block: the wide window
constexpr int kForegroundNear = 2;    // the near one; the last window is the block alone

constexpr int kBlockMeans = 8;
constexpr int kGroundTerms = 6;

/// Means over a block, of alpha, alpha^2, the colours and alpha times the colours, as 20-bit fixed-point numbers where
/// 255 * 255 * 16 is one: integers, so that sums over windows do not depend on their order.
constexpr std::uint32_t kMeanOne = 255 * 255 * 16;

/// sum: of `count` products of two bytes.
RMBG_HD std::uint32_t block_mean(std::uint64_t sum, std::uint32_t count) {
  return static_cast<std::uint32_t>((sum * 16u + count / 2u) / count);
}

/// Foreground and background of one place, 0..255.
struct Grounds {
  float of[kGroundTerms];  // three colours of F, three of B
};

// Always computes both sides of a choice, so that it vectorizes.
RMBG_HD float clamp_color(float value) {
  const float low = value > 0.0f ? value : 0.0f;
  return low < 255.0f ? low : 255.0f;
}

/// Means over a window as numbers: alpha and alpha^2 0..1, colours 0..255.
struct WindowMeans {
  float alpha, alpha2, color[3], alpha_color[3];
};

/// Sums stay below 2^31, and CPUs convert signed integers faster.
RMBG_HD float number(std::uint32_t sum) { return static_cast<float>(static_cast<std::int32_t>(sum)); }

RMBG_HD WindowMeans window_means(const std::uint32_t* sums, int blocks) {
  const float one = static_cast<float>(kMeanOne) * static_cast<float>(blocks);
  WindowMeans means;
  means.alpha = number(sums[0]) / one;
  means.alpha2 = number(sums[1]) / one;
  for (int c = 0; c < 3; ++c) {
    means.color[c] = number(sums[2 + c]) * 255.0f / one;
    means.alpha_color[c] = number(sums[5 + c]) * 255.0f / one;
  }
  return means;
}

/// The colours weighted by alpha and by 1 - alpha; the mean colour if a weight is 0.
RMBG_HD Grounds blurred_grounds(const WindowMeans& means) {
  constexpr float kNothing = 1e-3f;
  const float back = 1.0f - means.alpha;
  Grounds grounds;
  for (int c = 0; c < 3; ++c) {
    const float on_front = clamp_color(means.alpha_color[c] / means.alpha);
    const float on_back = clamp_color((means.color[c] - means.alpha_color[c]) / back);
    grounds.of[c] = means.alpha > kNothing ? on_front : means.color[c];
    grounds.of[3 + c] = back > kNothing ? on_back : means.color[c];
  }
  return grounds;
}

/// Least squares in a window; `ridge` pulls towards `from`. The 2 x 2 system is the same for the three colours.
RMBG_HD Grounds fit_grounds(const WindowMeans& means, const Grounds& from, float ridge) {
  const float both = means.alpha - means.alpha2;
  const float front = means.alpha2 + ridge;
  const float back = 1.0f - 2.0f * means.alpha + means.alpha2 + ridge;
  const float determinant = front * back - both * both;
  Grounds grounds;
  for (int c = 0; c < 3; ++c) {
    const float on_front = means.alpha_color[c] + ridge * from.of[c];
    const float on_back = means.color[c] - means.alpha_color[c] + ridge * from.of[3 + c];
    grounds.of[c] = clamp_color((back * on_front - both * on_back) / determinant);
    grounds.of[3 + c] = clamp_color((front * on_back - both * on_front) / determinant);
  }
  return grounds;
}

/// wide, near, own: the block means summed over the three windows.
RMBG_HD Grounds block_grounds(const std::uint32_t* wide, const std::uint32_t* near, const std::uint32_t* own) {
  constexpr int kWide = (2 * kForegroundWide + 1) * (2 * kForegroundWide + 1);
  constexpr int kNear = (2 * kForegroundNear + 1) * (2 * kForegroundNear + 1);
  const WindowMeans means = window_means(wide, kWide);
  Grounds grounds = fit_grounds(means, blurred_grounds(means), 0.01f);
  grounds = fit_grounds(window_means(near, kNear), grounds, 0.03f);
  return fit_grounds(window_means(own, 1), grounds, 0.1f);
}

/// Whether a block is near the subject's edge: its near window is neither all background nor all foreground. Elsewhere
/// the frame's colours stay unchanged.
RMBG_HD bool near_edge(std::uint32_t alpha_in_near_window) {
  constexpr std::uint32_t kNear = (2 * kForegroundNear + 1) * (2 * kForegroundNear + 1);
  return alpha_in_near_window != 0u && alpha_in_near_window != kNear * kMeanOne;
}

/// One colour of a pixel's foreground, which receives what the two grounds do not explain.
RMBG_HD float foreground_color(std::uint8_t color, std::uint8_t alpha, float front, float back) {
  const float share = static_cast<float>(alpha) / 255.0f;
  const float explained = share * front + (1.0f - share) * back;
  return front + share * (static_cast<float>(color) - explained);
}

}  // namespace rmbg
