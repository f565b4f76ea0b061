// SPDX-License-Identifier: Apache-2.0
// The kernels of resampling. Along rows through a tile in shared memory (resample_tile.h); along columns straight from
// memory, four neighbouring samples a thread, where a warp reads and writes whole lines.
#include "core/launch.cuh"
#include "preprocess/resample_cuda.h"
#include "preprocess/resample_pixel.h"
#include "preprocess/resample_tile.h"

namespace rmbg {
namespace {

constexpr int kWarps = 8;  // in a block

struct Source {
  const std::uint8_t* data;
  std::int64_t pitch_bytes;
  std::int64_t height;
};

struct Offsets {
  int plane[3];
};

/// Bytes into a word at which a row of the tile begins: as in memory, so that both are read in words.
__device__ int start_in_word(const std::uint8_t* from) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(from) & 3u);
}

/// A warp copies `bytes` from memory to the tile, in words where a whole word belongs to them.
__device__ void load_row(const std::uint8_t* from, int bytes, unsigned char* to, int lane) {
  const int start = start_in_word(from);
  for (int at = lane * 4 - start; at < bytes; at += kWarp * 4) {
    if (at >= 0 && at + 4 <= bytes) {
      *reinterpret_cast<std::uint32_t*>(to + start + at) = *reinterpret_cast<const std::uint32_t*>(from + at);
    } else {
      for (int i = at < 0 ? 0 : at; i < at + 4 && i < bytes; ++i) to[start + i] = from[i];
    }
  }
}

/// One sample of each plane, from neighbouring pixels: each weight is read once.
template <int kChannels, int kPlanes>
__device__ void resample_planes(const std::uint8_t* window, const Offsets& offset, const std::int32_t* weights,
                                int count, std::uint8_t* samples) {
  std::int32_t sum[kPlanes];
  for (int plane = 0; plane < kPlanes; ++plane) sum[plane] = kRoundHalf;
#pragma unroll 4
  for (int tap = 0; tap < count; ++tap) {
    const std::int32_t weight = weights[tap];
    for (int plane = 0; plane < kPlanes; ++plane) sum[plane] += window[tap * kChannels + offset.plane[plane]] * weight;
  }
  for (int plane = 0; plane < kPlanes; ++plane) samples[plane] = round_sum(sum[plane]);
}

template <int kChannels, int kPlanes>
__global__ void __launch_bounds__(kWarp* kWarps)
    rows_kernel(Source src, DeviceTable table, RowTiling tiling, Offsets offset, DevicePlanes dst) {
  RMBG_DYNAMIC_SHARED(tile);
  unsigned char* const results = tile + kTileRows * tiling.pitch_bytes;
  const int lane = static_cast<int>(threadIdx.x), warp = static_cast<int>(threadIdx.y);
  const int x0 = static_cast<int>(blockIdx.x) * tiling.outputs;
  const int x1 = min(x0 + tiling.outputs, table.out_size);
  const int y0 = static_cast<int>(blockIdx.y) * kTileRows;
  const int first = table.first[x0];
  const int bytes = (table.first[x1 - 1] + table.count[x1 - 1] - first) * kChannels;
  const std::uint8_t* const corner = src.data + y0 * src.pitch_bytes + static_cast<std::int64_t>(first) * kChannels;

  for (int row = warp; row < kTileRows && y0 + row < src.height; row += kWarps)
    load_row(corner + row * src.pitch_bytes, bytes, tile + row * tiling.pitch_bytes, lane);
  __syncthreads();

  if (y0 + lane < src.height) {
    const unsigned char* const samples =
        tile + lane * tiling.pitch_bytes + start_in_word(corner + lane * src.pitch_bytes);
    for (int x = x0 + warp; x < x1; x += kWarps) {
      const std::int32_t* const weights = table.weights + static_cast<std::int64_t>(x) * table.taps;
      const unsigned char* const window = samples + (table.first[x] - first) * kChannels;
      std::uint8_t made[kPlanes];
      resample_planes<kChannels, kPlanes>(window, offset, weights, table.count[x], made);
      for (int plane = 0; plane < kPlanes; ++plane)
        results[(plane * kTileRows + lane) * kResultPitchBytes + x - x0] = made[plane];
    }
  }
  __syncthreads();

  for (int row = warp; row < kTileRows * kPlanes; row += kWarps) {
    const int plane = row / kTileRows, y = y0 + row % kTileRows;
    if (y < src.height && x0 + lane < x1)
      dst.data[(static_cast<std::int64_t>(plane) * dst.height + y) * dst.pitch_bytes + x0 + lane] =
          results[row * kResultPitchBytes + lane];
  }
}

/// For windows too wide for a tile: a thread makes one sample from where the picture lies.
template <int kChannels, int kPlanes>
__global__ void rows_direct_kernel(Source src, DeviceTable table, Offsets offset, DevicePlanes dst) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= table.out_size || y >= src.height) return;
  const std::int32_t* const weights = table.weights + static_cast<std::int64_t>(x) * table.taps;
  const std::uint8_t* const window =
      src.data + y * src.pitch_bytes + static_cast<std::int64_t>(table.first[x]) * kChannels;
  std::uint8_t made[kPlanes];
  resample_planes<kChannels, kPlanes>(window, offset, weights, table.count[x], made);
  for (int plane = 0; plane < kPlanes; ++plane)
    dst.data[(static_cast<std::int64_t>(plane) * dst.height + y) * dst.pitch_bytes + x] = made[plane];
}

template <int kChannels, int kPlanes>
void rows(CudaQueue& queue, const ConstImageView& src, const DeviceTable& table, RowTiling tiling,
          const int* plane_offset, const DevicePlanes& dst) {
  const Source source{src.data, src.pitch_bytes, src.height};
  Offsets offset{};
  for (int plane = 0; plane < kPlanes; ++plane) offset.plane[plane] = plane_offset[plane];
  const dim3 block(kWarp, kWarps);
  if (tiling.outputs == 0) {
    const dim3 grid(blocks_for(src.height, kWarps), blocks_for(table.out_size, kWarp));  // x alone may be millions
    launch(queue, rows_direct_kernel<kChannels, kPlanes>, grid, block, 0, source, table, offset, dst);
    return;
  }
  const dim3 grid(blocks_for(table.out_size, tiling.outputs), blocks_for(src.height, kTileRows));
  launch(queue, rows_kernel<kChannels, kPlanes>, grid, block, tile_bytes(tiling.pitch_bytes, kPlanes), source, table,
         tiling, offset, dst);
}

/// Four neighbouring samples of one output row a thread.
template <bool kWords>
__global__ void columns_kernel(const std::uint8_t* src, std::int64_t src_pitch, std::int64_t src_plane,
                               DeviceTable table, DevicePlanes dst) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * 4;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= dst.width || y >= table.out_size) return;
  const std::int64_t plane = blockIdx.z;
  const std::int32_t* const weights = table.weights + static_cast<std::int64_t>(y) * table.taps;
  const int count = table.count[y];
  const std::uint8_t* const window = src + plane * src_plane + table.first[y] * src_pitch + x;
  std::uint8_t* const out = dst.data + (plane * dst.height + y) * dst.pitch_bytes + x;
  if (kWords && x + 4 <= dst.width) {
    std::int32_t sum[4] = {kRoundHalf, kRoundHalf, kRoundHalf, kRoundHalf};
    for (int tap = 0; tap < count; ++tap) {
      const std::uint32_t word = *reinterpret_cast<const std::uint32_t*>(window + tap * src_pitch);
      for (int i = 0; i < 4; ++i) sum[i] += static_cast<std::int32_t>(word >> 8 * i & 255u) * weights[tap];
    }
    std::uint32_t result = 0;
    for (int i = 0; i < 4; ++i) result |= static_cast<std::uint32_t>(round_sum(sum[i])) << 8 * i;
    *reinterpret_cast<std::uint32_t*>(out) = result;
    return;
  }
  for (int i = 0; i < 4 && x + i < dst.width; ++i) out[i] = resample_pixel(window + i, src_pitch, weights, count);
}

}  // namespace

void resample_rows(CudaQueue& queue, const ConstImageView& src, const DeviceTable& table, RowTiling tiling,
                   const int* plane_offset, const DevicePlanes& dst) {
  const bool one = dst.count == 1;
  switch (channels(src.format)) {
    case 1:
      return one ? rows<1, 1>(queue, src, table, tiling, plane_offset, dst)
                 : rows<1, 3>(queue, src, table, tiling, plane_offset, dst);
    case 3:
      return rows<3, 3>(queue, src, table, tiling, plane_offset, dst);
    default:
      return rows<4, 3>(queue, src, table, tiling, plane_offset, dst);
  }
}

void resample_columns(CudaQueue& queue, const DevicePlanes& src, const DeviceTable& table, const DevicePlanes& dst) {
  const dim3 block(kWarp, kWarps);
  const dim3 grid(blocks_for(dst.height, kWarps), blocks_for(dst.width, kWarp * 4), static_cast<unsigned>(dst.count));
  const std::int64_t src_plane = src.height * src.pitch_bytes;
  const bool words = word_aligned(src.data, src.pitch_bytes) && word_aligned(dst.data, dst.pitch_bytes);
  launch(queue, words ? columns_kernel<true> : columns_kernel<false>, grid, block, 0,
         static_cast<const std::uint8_t*>(src.data), src.pitch_bytes, src_plane, table, dst);
}

}  // namespace rmbg
