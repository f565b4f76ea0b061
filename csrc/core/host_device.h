// SPDX-License-Identifier: Apache-2.0
// RMBG_HD marks a function for both CPU and GPU: every function of a *_pixel.h, so that CPU tests check the arithmetic
// that the GPU runs.
#pragma once

#if defined(__CUDACC__)
#define RMBG_HD __host__ __device__ __forceinline__
#else
#define RMBG_HD inline
#endif
