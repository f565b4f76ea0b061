// SPDX-License-Identifier: Apache-2.0
// The tile of the pass along rows in shared memory: what host and kernel must agree on.
//
// A warp makes one output sample for 32 rows: its lanes walk down the tile, all with the same weights. Rows are an odd
// number of words apart, so that lanes read from different banks.
#pragma once

#include <cstddef>

namespace rmbg {

constexpr int kTileRows = 32;
constexpr int kTileOutputs = 32;                     // samples of a row that a block makes, at most
constexpr int kResultPitchBytes = kTileOutputs + 4;  // of the results on their way out: 9 words
/// Shared memory that every GPU gives a block without being asked (CUDA programming guide, "Compute Capabilities").
constexpr std::size_t kTileBytes = 48 * 1024;

/// For rows of so many bytes that begin up to 3 bytes into a word.
constexpr int tile_pitch_bytes(int bytes) { return ((bytes + 3 + 3) / 4 | 1) * 4; }

constexpr std::size_t tile_bytes(int pitch_bytes, int planes) {
  return static_cast<std::size_t>(kTileRows) * (pitch_bytes + planes * kResultPitchBytes);
}

}  // namespace rmbg
