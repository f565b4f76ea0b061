// SPDX-License-Identifier: Apache-2.0
#include "postprocess/grid_row.h"

#include "core/mix_pixel.h"
#include "core/multiversion.h"

namespace rmbg {
namespace {

RMBG_MULTIVERSION void places(float scale, int cells, int width, std::int32_t* cell, float* share) {
  for (int x = 0; x < width; ++x) {
    const LinearTap tap = linear_tap(x, scale, cells);
    cell[x] = tap.first;
    share[x] = tap.share;
  }
}

RMBG_MULTIVERSION void mix_rows(const float* above, const float* below, float share, int width, float* line,
                                float* step) {
  for (int x = 0; x < width; ++x) line[x] = mix(above[x], below[x], share);
  for (int x = 0; x + 1 < width; ++x) step[x] = line[x + 1] - line[x];
  step[width - 1] = 0.0f;
}

}  // namespace

GridPlaces::GridPlaces(float scale, int cells, int width, void* memory)
    : cell_(static_cast<std::int32_t*>(memory)), share_(reinterpret_cast<float*>(cell_ + width)) {
  places(scale, cells, width, cell_, share_);
}

GridRow::GridRow(const FloatGrid& grid, int y, void* memory)
    : cells_(grid.cells.width), line_(static_cast<float*>(memory)), step_(line_ + grid.planes * cells_) {
  const LinearTap tap = linear_tap(y, grid.scale_y, grid.cells.height);
  for (int i = 0; i < grid.planes; ++i) {
    const float* const plane = grid.data + static_cast<std::size_t>(i) * cells_ * grid.cells.height;
    mix_rows(plane + static_cast<std::size_t>(tap.first) * cells_,
             plane + static_cast<std::size_t>(tap.second) * cells_, tap.share, cells_, line_ + i * cells_,
             step_ + i * cells_);
  }
}

}  // namespace rmbg
