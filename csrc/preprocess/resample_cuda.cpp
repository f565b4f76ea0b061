// SPDX-License-Identifier: Apache-2.0
// The host's side of resampling on the GPU: cutting rows into tiles, and the tables' way there.
#include <algorithm>
#include <cstring>

#include "core/cuda_stream.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {
namespace {

int groups_of(const ResampleTable& table) {
  const int groups = packed_groups(*std::max_element(table.count.begin(), table.count.end()));
  return groups * kPackedTaps <= table.in_size ? groups : 0;
}

int packed_first(const ResampleTable& table, int groups, int x) {
  return std::min(table.first[x], table.in_size - groups * kPackedTaps);
}

/// The most input samples from the first window's beginning to the last one's, in an aligned group of outputs.
int widest_step(const ResampleTable& table, int groups, int outputs) {
  int widest = 0;
  for (int x = 0; x < table.out_size; x += outputs) {
    const int last = std::min(x + outputs, table.out_size) - 1;
    widest = std::max(widest, packed_first(table, groups, last) - packed_first(table, groups, x));
  }
  return widest;
}

/// Where the parts of a table's copy lie: the packed weights, which are read sixteen bytes at a time, and the numbers.
struct Layout {
  int groups;
  std::size_t packed, numbers;

  explicit Layout(const ResampleTable& table)
      : groups(groups_of(table)),
        packed(static_cast<std::size_t>(table.out_size) * groups),
        numbers(static_cast<std::size_t>(table.out_size) * (3 + static_cast<std::size_t>(table.taps))) {}
  std::size_t packed_bytes() const { return packed * sizeof(PackedTaps); }
  std::size_t number_bytes() const { return numbers * sizeof(std::int32_t); }
};

/// Writes a table to the host's copy of the memory, and gives it as it will lie on the device.
DeviceTable place(const ResampleTable& table, int groups, std::uint8_t* host, std::uint8_t* device,
                  std::size_t packed_at, std::size_t numbers_at) {
  auto* packed = reinterpret_cast<PackedTaps*>(host + packed_at);
  auto* const numbers = reinterpret_cast<std::int32_t*>(host + numbers_at);
  const auto outputs = static_cast<std::size_t>(table.out_size);
  std::copy(table.first.begin(), table.first.end(), numbers);
  std::copy(table.count.begin(), table.count.end(), numbers + outputs);
  std::copy(table.weights.begin(), table.weights.end(), numbers + 3 * outputs);
  for (int x = 0; x < table.out_size; ++x) {
    const int first = packed_first(table, groups, x);
    numbers[2 * outputs + x] = first;
    for (int group = 0; group < groups; ++group)
      *packed++ = pack_taps(table.weights_of(x), table.count[x], first + group * kPackedTaps - table.first[x]);
  }
  const auto* const there = reinterpret_cast<const std::int32_t*>(device + numbers_at);
  return {there,
          there + outputs,
          there + 3 * outputs,
          there + 2 * outputs,
          reinterpret_cast<const PackedTaps*>(device + packed_at),
          table.in_size,
          table.out_size,
          table.taps,
          groups};
}

}  // namespace

RowTiling row_tiling(const ResampleTable& table, int bytes_per_pixel, int planes) {
  const int groups = groups_of(table);
  for (int outputs = groups > 0 ? kTileOutputs : 0; outputs >= 1; outputs /= 2) {
    const int samples = widest_step(table, groups, outputs) + groups * kPackedTaps;
    const RowTiling tiling{outputs, groups, tile_pitch_bytes(samples * bytes_per_pixel)};
    if (tiling.bytes(planes) <= kTileBytes) return tiling;
  }
  return {};
}

DevicePlan upload(const ResamplePlan& plan, int rows_bytes_per_pixel, int rows_planes, Buffer& memory,
                  cudaStream_t stream) {
  const Layout x(plan.along_x), y(plan.along_y);
  const std::size_t packed_bytes = x.packed_bytes() + y.packed_bytes();
  const std::size_t bytes = packed_bytes + x.number_bytes() + y.number_bytes();
  memory.reserve(bytes);
  const Buffer staging(bytes);
  auto* const host = staging.as<std::uint8_t>();
  auto* const device = memory.as<std::uint8_t>();
  DevicePlan result;
  result.along_x = place(plan.along_x, x.groups, host, device, 0, packed_bytes);
  result.along_y = place(plan.along_y, y.groups, host, device, x.packed_bytes(), packed_bytes + x.number_bytes());
  result.tiling = row_tiling(plan.along_x, rows_bytes_per_pixel, rows_planes);
  result.columns_first = plan.columns_first;
  result.in = plan.in();
  result.out = plan.out();
  result.between = plan.between();
  copy_and_wait(device, host, bytes, stream);
  return result;
}

}  // namespace rmbg
