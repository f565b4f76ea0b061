// SPDX-License-Identifier: Apache-2.0
// The host's side of resampling on the GPU: cutting rows into tiles, and the tables' way there.
#include <algorithm>
#include <cstring>

#include "core/cuda_stream.h"
#include "preprocess/resample_cuda.h"
#include "preprocess/resample_tile.h"

namespace rmbg {
namespace {

/// The most input samples that `outputs` neighbouring output samples of an aligned group need.
int widest_span(const ResampleTable& table, int outputs) {
  int widest = 0;
  for (int x = 0; x < table.out_size; x += outputs) {
    const int last = std::min(x + outputs, table.out_size) - 1;
    widest = std::max(widest, table.first[last] + table.count[last] - table.first[x]);
  }
  return widest;
}

DeviceTable place(const ResampleTable& table, std::int32_t* device, std::int32_t* host) {
  const std::size_t outputs = static_cast<std::size_t>(table.out_size);
  std::copy(table.first.begin(), table.first.end(), host);
  std::copy(table.count.begin(), table.count.end(), host + outputs);
  std::copy(table.weights.begin(), table.weights.end(), host + 2 * outputs);
  return {device, device + outputs, device + 2 * outputs, table.in_size, table.out_size, table.taps};
}

std::size_t numbers_of(const ResampleTable& table) {
  return static_cast<std::size_t>(table.out_size) * (2 + static_cast<std::size_t>(table.taps));
}

}  // namespace

RowTiling row_tiling(const ResampleTable& table, int bytes_per_pixel, int planes) {
  for (int outputs = kTileOutputs; outputs >= 1; outputs /= 2) {
    const int bytes = widest_span(table, outputs) * bytes_per_pixel;
    const int pitch = tile_pitch_bytes(bytes);
    if (tile_bytes(pitch, planes) <= kTileBytes) return {outputs, pitch};
  }
  return {};
}

DevicePlan upload(const ResamplePlan& plan, int rows_bytes_per_pixel, int rows_planes, Buffer& memory,
                  cudaStream_t stream) {
  const std::size_t x_numbers = numbers_of(plan.along_x);
  const std::size_t bytes = (x_numbers + numbers_of(plan.along_y)) * sizeof(std::int32_t);
  memory.reserve(bytes);
  const Buffer staging(bytes);
  auto* host = staging.as<std::int32_t>();
  auto* device = memory.as<std::int32_t>();
  DevicePlan result;
  result.along_x = place(plan.along_x, device, host);
  result.along_y = place(plan.along_y, device + x_numbers, host + x_numbers);
  result.tiling = row_tiling(plan.along_x, rows_bytes_per_pixel, rows_planes);
  result.columns_first = plan.columns_first;
  result.in = plan.in();
  result.out = plan.out();
  result.between = plan.between();
  copy_and_wait(device, host, bytes, stream);
  return result;
}

}  // namespace rmbg
