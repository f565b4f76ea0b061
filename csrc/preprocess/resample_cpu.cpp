// SPDX-License-Identifier: Apache-2.0
// Resampling on the CPU: the plain inner loops, the choice of a better set, and the rows in parallel.
#include <algorithm>

#include "core/cpu_features.h"
#include "core/launch.h"
#include "preprocess/resample.h"
#include "preprocess/resample_kernels.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

void rows_generic(const ConstImageView& src, const ResampleTable& table, const int* plane_offset,
                  const PlanesView& dst, int begin, int end) {
  const int step = channels(src.format);
  for (int y = begin; y < end; ++y)
    for (int plane = 0; plane < dst.count; ++plane) {
      const std::uint8_t* in = src.row(y) + plane_offset[plane];
      std::uint8_t* out = dst.row(plane, y);
      for (int x = 0; x < table.out_size; ++x)
        out[x] = resample_pixel(in + static_cast<std::ptrdiff_t>(table.first[x]) * step, step, table.weights_of(x),
                                table.count[x]);
    }
}

void column_row_generic(const std::uint8_t* src, int width, const ResampleTable& table, int y, std::uint8_t* dst) {
  const std::uint8_t* top = src + static_cast<std::int64_t>(table.first[y]) * width;
  for (int x = 0; x < width; ++x) dst[x] = resample_pixel(top + x, width, table.weights_of(y), table.count[y]);
}

}  // namespace

const ResampleKernels& resample_kernels_generic() {
  static const ResampleKernels kernels{"generic", rows_generic, column_row_generic};
  return kernels;
}

const ResampleKernels& resample_kernels() {
#if defined(RMBG_HAVE_AVX2)
  static const ResampleKernels& best =
      cpu_isa() >= CpuIsa::kAvx2 ? resample_kernels_avx2() : resample_kernels_generic();
  return best;
#else
  return resample_kernels_generic();
#endif
}

void resample_rows(const ConstImageView& src, const ResampleTable& table, const int* plane_offset,
                   const PlanesView& dst, Stream) {
  const ResampleKernels& kernels = resample_kernels();
  parallel_for(src.height, rows_per_piece(static_cast<std::int64_t>(src.width) * dst.count),
               [&](std::int64_t begin, std::int64_t end) {
                 kernels.rows(src, table, plane_offset, dst, static_cast<int>(begin), static_cast<int>(end));
               });
}

void resample_columns(const PlanesView& src, const ResampleTable& table, const PlanesView& dst, Stream) {
  const std::int64_t rows = static_cast<std::int64_t>(dst.count) * dst.height;
  parallel_for(rows, rows_per_piece(dst.width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const int plane = static_cast<int>(row / dst.height);
      const int y = static_cast<int>(row % dst.height);
      resample_column_row(src, plane, table, y, dst.row(plane, y));
    }
  });
}

void resample_column_row(const PlanesView& src, int plane, const ResampleTable& table, int y, std::uint8_t* dst) {
  if (table.identity()) {
    std::copy_n(src.row(plane, y), src.width, dst);
    return;
  }
  resample_kernels().column_row(src.row(plane, 0), src.width, table, y, dst);
}

}  // namespace rmbg
