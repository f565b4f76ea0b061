// SPDX-License-Identifier: Apache-2.0
// The host side of resampling on the GPU: cutting rows into tiles, and uploading tables.
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

/// The layout of a table's copy: the packed weights, which are read 16 bytes at a time, then the other numbers.
struct Layout {
  int groups;
  std::size_t packed, numbers;  // how many

  explicit Layout(const ResampleTable& table)
      : groups(groups_of(table)),
        packed(static_cast<std::size_t>(table.out_size) * groups),
        numbers(static_cast<std::size_t>(table.out_size) * (3 + static_cast<std::size_t>(table.taps))) {}
  std::size_t packed_bytes() const { return packed * sizeof(PackedTaps); }
  /// Of everything, padded so that the next table is aligned.
  std::size_t bytes() const { return packed_bytes() + (numbers * sizeof(std::int32_t) + 15) / 16 * 16; }
};

/// Writes a table to the staging memory, and returns the table as it will be on the device.
DeviceTable place(const ResampleTable& table, const Layout& layout, std::uint8_t* host, std::uint8_t* device) {
  auto* packed = reinterpret_cast<PackedTaps*>(host);
  auto* const numbers = reinterpret_cast<std::int32_t*>(host + layout.packed_bytes());
  const auto outputs = static_cast<std::size_t>(table.out_size);
  std::copy(table.first.begin(), table.first.end(), numbers);
  std::copy(table.count.begin(), table.count.end(), numbers + outputs);
  std::copy(table.weights.begin(), table.weights.end(), numbers + 3 * outputs);
  for (int x = 0; x < table.out_size; ++x) {
    const int first = packed_first(table, layout.groups, x);
    numbers[2 * outputs + x] = first;
    for (int group = 0; group < layout.groups; ++group)
      *packed++ = pack_taps(table.weights_of(x), table.count[x], first + group * kPackedTaps - table.first[x]);
  }
  const auto* const there = reinterpret_cast<const std::int32_t*>(device + layout.packed_bytes());
  return {there,
          there + outputs,
          there + 3 * outputs,
          there + 2 * outputs,
          reinterpret_cast<const PackedTaps*>(device),
          table.in_size,
          table.out_size,
          table.taps,
          layout.groups};
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

TableUpload::TableUpload(std::initializer_list<const ResamplePlan*> plans, Buffer& memory, Buffer& staging) {
  std::size_t bytes = 0;
  for (const ResamplePlan* const plan : plans) bytes += Layout(plan->along_x).bytes() + Layout(plan->along_y).bytes();
  memory.reserve(bytes);
  staging.reserve(bytes);
  device_ = memory.as<std::uint8_t>();
  host_ = staging.as<std::uint8_t>();
}

DevicePlan TableUpload::add(const ResamplePlan& plan, int rows_bytes_per_pixel, int rows_planes) {
  const auto place_next = [this](const ResampleTable& table) {
    const Layout layout(table);
    std::memset(host_ + bytes_ + layout.bytes() - 16, 0, 16);  // the padding is copied too
    const DeviceTable placed = place(table, layout, host_ + bytes_, device_ + bytes_);
    bytes_ += layout.bytes();
    return placed;
  };
  DevicePlan result;
  result.along_x = place_next(plan.along_x);
  result.along_y = place_next(plan.along_y);
  result.tiling = row_tiling(plan.along_x, rows_bytes_per_pixel, rows_planes);
  result.columns_first = plan.columns_first;
  result.in = plan.in();
  result.out = plan.out();
  result.between = plan.between();
  return result;
}

void TableUpload::start(cudaStream_t stream) const {
  check(cudaMemcpyAsync(device_, host_, bytes_, cudaMemcpyDefault, stream), "copying tables to the GPU");
}

}  // namespace rmbg
