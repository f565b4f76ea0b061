// SPDX-License-Identifier: Apache-2.0
// Temporal stabilization of a matte: a recursive filter that follows a change at once if it is large and likely (an
// edge moved: the new value was nearby in the previous frame), and slowly otherwise (flicker, objects from nowhere).
// "Likely" means inside the neighbourhood's range, as in temporal anti-aliasing (Karis 2014, "High-quality temporal
// supersampling"), but applied to the present instead of the past.
#pragma once

#include "core/host_device.h"
#include "core/reduce.h"

namespace rmbg {

constexpr int kStabilizeReach = 7;       // cells of the network's output that an edge moves per frame, at most
constexpr float kStabilizeSlow = 0.1f;   // share of a small or unlikely change that a frame follows
constexpr float kStabilizeLarge = 0.5f;  // a likely change of this size is followed completely
constexpr float kStabilizeSure = 0.02f;  // a probability this close to 0 or 1 is certain
constexpr float kStabilizeQuick = 0.5f;  // least share of a likely change to a certain value, so that nothing lingers
constexpr int kSceneCut = 40;            // mean difference of two frames' bytes that resets the state

/// now, before: probabilities. low, high: the range of `before` within kStabilizeReach. NaN and infinity are ignored in
/// both.
RMBG_HD float stabilized(float now, float before, float low, float high) {
  if (!(now - now == 0.0f)) return before;
  if (!(before - before == 0.0f)) return now;
  const float likely = now < low ? low : now > high ? high : now;
  const float change = likely - before;
  const float size = change < 0.0f ? -change : change;
  const float by_size =
      size < kStabilizeLarge ? kStabilizeSlow + (1.0f - kStabilizeSlow) * (size / kStabilizeLarge) : 1.0f;
  const float by_doubt = now < kStabilizeSure || now > 1.0f - kStabilizeSure ? kStabilizeQuick : kStabilizeSlow;
  const float share = by_size > by_doubt ? by_size : by_doubt;
  return before + share * change + kStabilizeSlow * (now - likely);
}

/// The range of a running stretch after a frame whose own range is `now`. Ignores a frame of NaNs (max < min) or with
/// an infinity.
RMBG_HD MinMax followed_range(MinMax now, MinMax before, bool first) {
  constexpr float kShare = 0.1f;
  constexpr float kFinite = 3e38f;
  if (!(now.max >= now.min && now.max - now.min < kFinite)) return before;
  if (first || !(before.max > before.min)) return now;  // empty: nothing to follow yet
  return {before.min + kShare * (now.min - before.min), before.max + kShare * (now.max - before.max)};
}

}  // namespace rmbg
