// SPDX-License-Identifier: Apache-2.0
// Interpolates a coarse grid of floats along a row of the frame: once between two rows of the grid, then for each pixel
// between two neighbours of the result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preprocess/resample_plan.h"

namespace rmbg {

/// Contiguous planes of floats, each `cells` large; row y is at (y + 1/2) * scale_y - 1/2.
struct FloatGrid {
  const float* data;
  int planes;
  Size cells;
  float scale_y;  // cells a pixel, down the columns
};

/// Where the pixels of any row are on the grid: pixel x is `share` of the way from cell[x] to the next one.
class GridPlaces {
 public:
  static std::size_t words(int width) { return 2 * static_cast<std::size_t>(width); }

  GridPlaces() = default;
  /// memory: words() of 4 bytes.
  GridPlaces(float scale, int cells, int width, void* memory);

  const std::int32_t* cell() const { return cell_; }
  const float* share() const { return share_; }

 private:
  std::int32_t* cell_ = nullptr;
  float* share_ = nullptr;
};

/// The values of one plane along the row: at pixel x they are line[cell[x]] + step[cell[x]] * share[x].
struct GridLine {
  const float* line;
  const float* step;
};

class GridRow {
 public:
  static std::size_t words(int planes, int cells) { return 2 * static_cast<std::size_t>(planes) * cells; }

  /// memory: words() of 4 bytes.
  GridRow(const FloatGrid& grid, int y, void* memory);

  GridLine plane(int i) const { return {line_ + i * cells_, step_ + i * cells_}; }

 private:
  int cells_;
  float* line_;
  float* step_;
};

}  // namespace rmbg
