// SPDX-License-Identifier: Apache-2.0
// Resampling on the CPU: the plain inner loops, the choice of kernels, and parallel rows.
#include <algorithm>

#include "core/cpu_features.h"
#include "core/thread_pool.h"
#include "preprocess/resample.h"
#include "preprocess/resample_kernels.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

void rows_generic(const ConstImageView& src, const ResampleTable& table, const int* plane_offset, const PlanesView& dst,
                  int begin, int end) {
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

void column_row_generic(const std::uint8_t* src, std::ptrdiff_t pitch, int width, const ResampleTable& table, int y,
                        std::uint8_t* dst) {
  const std::uint8_t* top = src + table.first[y] * pitch;
  for (int x = 0; x < width; ++x) dst[x] = resample_pixel(top + x, pitch, table.weights_of(y), table.count[y]);
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

void resample_columns(const ConstImageView& src, const ResampleTable& table, const ImageView& dst, Stream) {
  parallel_for(dst.height, rows_per_piece(static_cast<std::int64_t>(src.width) * channels(src.format)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (int y = static_cast<int>(begin); y < end; ++y) resample_one_column_row(src, table, y, dst.row(y));
               });
}

void resample(const ConstImageView& src, const ResamplePlan& plan, const int* plane_offset, std::uint8_t* between,
              const PlanesView& dst, Stream stream) {
  const Size middle = plan.between();
  if (plan.columns_first) {
    const ImageView lower{between, middle.width, middle.height,
                          static_cast<std::ptrdiff_t>(middle.width) * channels(src.format), src.format};
    resample_columns(src, plan.along_y, lower, stream);
    resample_rows({lower.data, lower.width, lower.height, lower.pitch_bytes, lower.format}, plan.along_x, plane_offset,
                  dst, stream);
    return;
  }
  const PlanesView narrower{between, dst.count, middle.width, middle.height};
  resample_rows(src, plan.along_x, plane_offset, narrower, stream);
  for (int plane = 0; plane < dst.count; ++plane)
    resample_columns({narrower.row(plane, 0), middle.width, middle.height, middle.width, PixelFormat::kGray8},
                     plan.along_y, {dst.row(plane, 0), dst.width, dst.height, dst.width, PixelFormat::kGray8}, stream);
}

void resample_one_row(const ConstImageView& src, const ResampleTable& table, int y, std::uint8_t* dst) {
  const int offset = 0;
  const ConstImageView row{src.row(y), src.width, 1, src.pitch_bytes, src.format};
  resample_kernels().rows(row, table, &offset, {dst, 1, table.out_size, 1}, 0, 1);
}

void resample_one_column_row(const ConstImageView& src, const ResampleTable& table, int y, std::uint8_t* dst) {
  const int samples = src.width * channels(src.format);
  if (table.identity()) {
    std::copy_n(src.row(y), samples, dst);
    return;
  }
  resample_kernels().column_row(src.data, src.pitch_bytes, samples, table, y, dst);
}

}  // namespace rmbg
