// SPDX-License-Identifier: Apache-2.0
// The inner loops of resampling, one set for each instruction set; the best one this processor has is
// chosen once. All sets give the same bytes.
#pragma once

#include <cstdint>

#include "core/image_view.h"
#include "preprocess/resample.h"

namespace rmbg {

struct ResampleKernels {
  const char* name;
  /// Rows [begin, end) of resample_rows; dst row r of a plane belongs to src row r.
  void (*rows)(const ConstImageView& src, const ResampleTable& table, const int* plane_offset, const PlanesView& dst,
               int begin, int end);
  /// One output row of resample_columns: `width` samples, input rows `pitch` bytes apart.
  void (*column_row)(const std::uint8_t* src, std::ptrdiff_t pitch, int width, const ResampleTable& table, int y,
                     std::uint8_t* dst);
};

/// Plain C++ around the pixel functions; runs everywhere.
const ResampleKernels& resample_kernels_generic();

#if defined(RMBG_HAVE_AVX2)
const ResampleKernels& resample_kernels_avx2();
#endif

/// The set in use. RMBG_ISA=generic forces the plain one.
const ResampleKernels& resample_kernels();

}  // namespace rmbg
