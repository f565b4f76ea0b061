// SPDX-License-Identifier: Apache-2.0
// RMBG_HD marks a function that both the CPU and the CUDA launchers call. Every function of a
// *_pixel.h carries it, so that the arithmetic the GPU runs is the arithmetic the CPU tests check.
#pragma once

#if defined(__CUDACC__)
#define RMBG_HD __host__ __device__ __forceinline__
#else
#define RMBG_HD inline
#endif
