// SPDX-License-Identifier: Apache-2.0
// Temporal stabilisation of a matte: a recursive filter that takes a change over at once where it is likely (an edge
// that moved: the new value was seen close by in the frame before) and large, and slowly elsewhere (flicker, and
// objects that appear out of nothing). The neighbourhood's range as a measure of what is likely is that of temporal
// anti-aliasing (Karis 2014, "High-quality temporal supersampling"), turned from the past to the present.
#pragma once

#include "core/host_device.h"
#include "core/reduce.h"

namespace rmbg {

constexpr int kStabilizeReach = 7;       // cells of the network's output that an edge moves in a frame at most
constexpr float kStabilizeSlow = 0.1f;   // share of a small or unlikely change that a frame takes over
constexpr float kStabilizeLarge = 0.5f;  // a likely change of so much is taken over whole
constexpr float kStabilizeSure = 0.02f;  // a probability so near to 0 or 1 leaves no doubt, and is taken over ...
constexpr float kStabilizeQuick =
    0.5f;                      // ... by this share at least, if likely: nothing lingers where an edge has left
constexpr int kSceneCut = 40;  // mean difference of two frames' bytes from which on nothing is carried over

/// now, before: probabilities. low, high: the range of `before` within kStabilizeReach. A NaN or an infinity changes
/// nothing, and one that a first frame left is forgotten.
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

/// The range of a running stretch after a frame whose own range is `now`. Nothing but NaN (max < min), and an infinity,
/// change nothing.
RMBG_HD MinMax followed_range(MinMax now, MinMax before, bool first) {
  constexpr float kShare = 0.1f;
  constexpr float kFinite = 3e38f;
  if (!(now.max >= now.min && now.max - now.min < kFinite)) return before;
  if (first || !(before.max > before.min)) return now;  // empty: nothing to follow yet
  return {before.min + kShare * (now.min - before.min), before.max + kShare * (now.max - before.max)};
}

}  // namespace rmbg
