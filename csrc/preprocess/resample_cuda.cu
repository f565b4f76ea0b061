// SPDX-License-Identifier: Apache-2.0
// Resampling kernels. The pass along rows uses a tile in shared memory (resample_cuda.h) and four samples per
// instruction (packed_taps.h). The pass along columns reads memory directly, four neighbouring samples per thread, so
// that a warp reads and writes whole lines.
#include "core/launch.cuh"
#include "core/reduce.cuh"
#include "preprocess/packed_taps.h"
#include "preprocess/resample_cuda.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

constexpr int kWarps = 8;  // in a block
constexpr int kThreads = kWarp * kWarps;

struct Source {
  const std::uint8_t* data;
  std::int64_t pitch_bytes;
  int width;
  int height;
};

struct Offsets {
  int plane[3];
};

/// Stores the largest byte of the block in `largest`, unless it is null.
__device__ void leave_largest(std::uint8_t value, std::uint8_t* largest) {
  if (largest == nullptr) return;
  __shared__ std::uint8_t scratch[kThreads];
  const int thread = static_cast<int>(threadIdx.y) * kWarp + static_cast<int>(threadIdx.x);
  value = join_block<LargerByte, kThreads>(value, scratch, thread);
  if (thread == 0) largest[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = value;
}

/// Where in a word a row of the tile begins: as in memory, so that both are read in words.
__device__ int start_in_word(const std::uint8_t* from) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(from) & 3u);
}

/// A warp begins to copy bytes `begin` to `end` of a row of `size` bytes to the tile: asynchronously in whole words,
/// and byte by byte where a word crosses the row's begin or end.
__device__ void load_row(const std::uint8_t* row, int size, int begin, int end, unsigned char* to, int lane) {
  begin -= start_in_word(row + begin);
  end = begin + ((end - begin + 3) & ~3);
  to -= begin;
  const int first_word = begin < 0 ? begin + 4 : begin;
  const int last_word = end > size ? end - 4 : end;
  for (int at = first_word + lane * 4; at < last_word; at += kWarp * 4) copy_async<4>(to + at, row + at);
  if (begin < 0 && lane < min(first_word, size)) to[lane] = row[lane];
  if (end > size && max(last_word, 0) + lane < size) to[max(last_word, 0) + lane] = row[max(last_word, 0) + lane];
}

/// A block's shared memory: weights, where windows begin, rows of the image, results.
struct Tile {
  PackedTaps* taps;
  std::int32_t* starts;
  unsigned char* rows;
  unsigned char* results;

  __device__ Tile(unsigned char* memory, const RowTiling& tiling)
      : taps(reinterpret_cast<PackedTaps*>(memory)),
        starts(reinterpret_cast<std::int32_t*>(memory + tiling.weights_bytes())),
        rows(memory + tiling.weights_bytes() + tiling.starts_bytes()),
        results(rows + kTileRows * tiling.pitch_bytes) {}
};

/// One sample of each colour, from the pixels that begin at `byte` of a row of words.
template <int kChannels>
__device__ void resample_colors(const unsigned char* row, int byte, const PackedTaps* taps, int groups,
                                std::uint8_t* samples) {
  using Pixels = FourPixels<kChannels>;
  const auto* word = reinterpret_cast<const std::uint32_t*>(row + (byte & ~3));
  const int shift = (byte & 3) * 8;
  PackedSum sum[Pixels::kPlanes];
  std::uint32_t low = *word;
#pragma unroll 2
  for (int group = 0; group < groups; ++group) {
    const PackedTaps weights = taps[group];
    std::uint32_t pixels[kChannels], planes[Pixels::kPlanes];
    for (int i = 0; i < kChannels; ++i) {
      const std::uint32_t high = *++word;
      pixels[i] = word_between(low, high, shift);
      low = high;
    }
    Pixels::split(pixels, planes);
    for (int plane = 0; plane < Pixels::kPlanes; ++plane) sum[plane].add(planes[plane], weights);
  }
  for (int plane = 0; plane < Pixels::kPlanes; ++plane) samples[plane] = sum[plane].rounded();
}

/// samples[index], without indexing registers.
template <int kCount>
__device__ std::uint8_t pick(const std::uint8_t* samples, int index) {
  std::uint8_t picked = samples[0];
#pragma unroll
  for (int i = 1; i < kCount; ++i) picked = index == i ? samples[i] : picked;
  return picked;
}

template <int kChannels, int kPlanes>
__global__ void __launch_bounds__(kThreads) rows_kernel(Source src, DeviceTable table, RowTiling tiling, Offsets offset,
                                                        DevicePlanes dst, std::uint8_t* largest) {
  RMBG_DYNAMIC_SHARED(memory);
  const Tile tile(memory, tiling);
  const int lane = static_cast<int>(threadIdx.x), warp = static_cast<int>(threadIdx.y);
  const int x0 = static_cast<int>(blockIdx.x) * tiling.outputs;
  const int outputs = min(tiling.outputs, table.out_size - x0);
  const int y0 = static_cast<int>(blockIdx.y) * kTileRows;
  const int rows = min(kTileRows, src.height - y0);
  const int first = table.packed_first[x0], last = table.packed_first[x0 + outputs - 1];
  const int begin = first * kChannels, end = (last + tiling.groups * kPackedTaps) * kChannels;
  const std::uint8_t* const top = src.data + y0 * src.pitch_bytes;

  for (int row = warp; row < rows; row += kWarps)
    load_row(top + row * src.pitch_bytes, src.width * kChannels, begin, end, tile.rows + row * tiling.pitch_bytes,
             lane);
  const PackedTaps* const taps = table.packed_of(x0);
  for (int i = warp * kWarp + lane; i < outputs * tiling.groups; i += kThreads)
    copy_async<sizeof(PackedTaps)>(tile.taps + i, taps + i);
  if (warp == 0 && lane < outputs) tile.starts[lane] = (table.packed_first[x0 + lane] - first) * kChannels;
  wait_for_copies();
  __syncthreads();

  std::uint8_t most = 0;
  if (lane < rows) {
    const unsigned char* const row = tile.rows + lane * tiling.pitch_bytes;
    const int start = start_in_word(top + lane * src.pitch_bytes + begin);
    for (int x = warp; x < outputs; x += kWarps) {
      std::uint8_t four[FourPixels<kChannels>::kPlanes];
      resample_colors<kChannels>(row, start + tile.starts[x], tile.taps + x * tiling.groups, tiling.groups, four);
#pragma unroll
      for (int plane = 0; plane < kPlanes; ++plane) {
        const std::uint8_t sample = pick<FourPixels<kChannels>::kPlanes>(four, offset.plane[plane]);
        tile.results[(plane * kTileRows + lane) * kResultPitchBytes + x] = sample;
        most = LargerByte::join(most, sample);
      }
    }
  }
  __syncthreads();

  for (int plane = 0; plane < kPlanes && lane < outputs; ++plane) {
    const unsigned char* from = tile.results + (plane * kTileRows + warp) * kResultPitchBytes + lane;
    std::uint8_t* to =
        dst.data + (static_cast<std::int64_t>(plane) * dst.height + y0 + warp) * dst.pitch_bytes + x0 + lane;
    for (int row = warp; row < rows; row += kWarps) {
      *to = *from;
      from += kWarps * kResultPitchBytes;
      to += kWarps * dst.pitch_bytes;
    }
  }
  leave_largest(most, largest);
}

/// For windows too wide for a tile: a thread computes one sample directly from the image.
template <int kChannels, int kPlanes>
__global__ void __launch_bounds__(kThreads)
    rows_direct_kernel(Source src, DeviceTable table, Offsets offset, DevicePlanes dst, std::uint8_t* largest) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  std::uint8_t most = 0;
  if (x < table.out_size && y < src.height) {
    const std::int32_t* const weights = table.weights_of(x);
    const std::uint8_t* const window =
        src.data + y * src.pitch_bytes + static_cast<std::int64_t>(table.first[x]) * kChannels;
    for (int plane = 0; plane < kPlanes; ++plane) {
      const std::uint8_t sample = resample_pixel(window + offset.plane[plane], kChannels, weights, table.count[x]);
      dst.data[(static_cast<std::int64_t>(plane) * dst.height + y) * dst.pitch_bytes + x] = sample;
      most = LargerByte::join(most, sample);
    }
  }
  leave_largest(most, largest);
}

int count_of(dim3 grid) { return static_cast<int>(grid.x * grid.y * grid.z); }

template <int kChannels, int kPlanes>
int rows(CudaQueue& queue, const ConstImageView& src, const DevicePlan& plan, const int* plane_offset,
         const DevicePlanes& dst, std::uint8_t* largest) {
  const DeviceTable& table = plan.along_x;
  const RowTiling& tiling = plan.tiling;
  const Source source{src.data, src.pitch_bytes, src.width, src.height};
  Offsets offset{};
  for (int plane = 0; plane < kPlanes; ++plane) offset.plane[plane] = plane_offset[plane];
  const dim3 block(kWarp, kWarps);
  if (tiling.outputs == 0) {
    const dim3 grid(blocks_for(src.height, kWarps), blocks_for(table.out_size, kWarp));  // x alone may be millions
    launch(queue, rows_direct_kernel<kChannels, kPlanes>, grid, block, 0, source, table, offset, dst, largest);
    return count_of(grid);
  }
  const dim3 grid(blocks_for(table.out_size, tiling.outputs), blocks_for(src.height, kTileRows));
  launch(queue, rows_kernel<kChannels, kPlanes>, grid, block, tiling.bytes(kPlanes), source, table, tiling, offset, dst,
         largest);
  return count_of(grid);
}

/// Four neighbouring samples of one output row per thread. kWords: rows are word-aligned and packed weights exist.
template <bool kWords>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(const std::uint8_t* src, std::int64_t src_pitch, std::int64_t src_plane, DeviceTable table,
                   DevicePlanes dst, std::uint8_t* largest) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * 4;
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  std::uint8_t most = 0;
  if (x < dst.width && y < table.out_size) {
    const std::int64_t plane = blockIdx.z;
    const std::uint8_t* const in = src + plane * src_plane + x;
    std::uint8_t* const out = dst.data + (plane * dst.height + y) * dst.pitch_bytes + x;
    if (kWords && x + 4 <= dst.width) {
      const std::uint32_t samples =
          resample_four(in + table.packed_first[y] * src_pitch, src_pitch, table.packed_of(y), table.groups);
      *reinterpret_cast<std::uint32_t*>(out) = samples;
      for (int i = 0; i < 4; ++i) most = LargerByte::join(most, static_cast<std::uint8_t>(samples >> 8 * i));
    } else {
      for (int i = 0; i < 4 && x + i < dst.width; ++i) {
        out[i] = resample_pixel(in + table.first[y] * src_pitch + i, src_pitch, table.weights_of(y), table.count[y]);
        most = LargerByte::join(most, out[i]);
      }
    }
  }
  leave_largest(most, largest);
}

}  // namespace

int resample_rows(CudaQueue& queue, const ConstImageView& src, const DevicePlan& plan, const int* plane_offset,
                  const DevicePlanes& dst, std::uint8_t* largest) {
  const bool one = dst.count == 1;
  switch (channels(src.format)) {
    case 1:
      return one ? rows<1, 1>(queue, src, plan, plane_offset, dst, largest)
                 : rows<1, 3>(queue, src, plan, plane_offset, dst, largest);
    case 3:
      return rows<3, 3>(queue, src, plan, plane_offset, dst, largest);
    default:
      return rows<4, 3>(queue, src, plan, plane_offset, dst, largest);
  }
}

int resample_columns(CudaQueue& queue, const DevicePlanes& src, const DeviceTable& table, const DevicePlanes& dst,
                     std::uint8_t* largest) {
  const dim3 block(kWarp, kWarps);
  const dim3 grid(blocks_for(dst.height, kWarps), blocks_for(dst.width, kWarp * 4), static_cast<unsigned>(dst.count));
  const std::int64_t src_plane = src.height * src.pitch_bytes;
  const bool words =
      table.groups > 0 && word_aligned(src.data, src.pitch_bytes) && word_aligned(dst.data, dst.pitch_bytes);
  launch(queue, words ? columns_kernel<true> : columns_kernel<false>, grid, block, 0,
         static_cast<const std::uint8_t*>(src.data), src.pitch_bytes, src_plane, table, dst, largest);
  return count_of(grid);
}

}  // namespace rmbg
