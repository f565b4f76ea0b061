// SPDX-License-Identifier: Apache-2.0
// The tile of the pass along rows in shared memory: what host and kernel must agree on.
//
// A warp makes one output sample for 32 rows: its lanes walk down the tile, all with the same weights. Rows are an odd
// number of words apart, so that lanes read from different banks. The weights of the block's outputs lie there too, and
// where each one's window begins.
#pragma once

#include <cstddef>

#include "preprocess/packed_taps.h"

namespace rmbg {

constexpr int kTileRows = 32;
constexpr int kTileOutputs = 32;                     // samples of a row that a block makes, at most
constexpr int kResultPitchBytes = kTileOutputs + 4;  // of the results on their way out: 9 words
/// Shared memory that every GPU gives a block without being asked (CUDA programming guide, "Compute Capabilities"),
/// less what kernels have beside the tile.
constexpr std::size_t kTileBytes = 48 * 1024 - 1024;

/// How one block of the pass along rows is cut; depends on the table only.
struct RowTiling {
  int outputs = 0;      // samples of a row that a block makes; 0: no tile fits, and the samples are read where they lie
  int groups = 0;       // of four weights, for each of them
  int pitch_bytes = 0;  // of a row of input samples in shared memory

  RMBG_HD std::size_t weights_bytes() const { return sizeof(PackedTaps) * outputs * groups; }
  RMBG_HD std::size_t starts_bytes() const { return sizeof(std::int32_t) * outputs; }
  std::size_t bytes(int planes) const {
    return weights_bytes() + starts_bytes() +
           static_cast<std::size_t>(kTileRows) * (pitch_bytes + planes * kResultPitchBytes);
  }
};

/// For rows of so many bytes that begin up to 3 bytes into a word and are read up to the next whole one.
constexpr int tile_pitch_bytes(int bytes) { return ((bytes + 3 + 4 + 3) / 4 | 1) * 4; }

}  // namespace rmbg
