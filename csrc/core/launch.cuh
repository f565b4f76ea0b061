// SPDX-License-Identifier: Apache-2.0
// What kernels share: the arithmetic of grids, and shared memory whose size is known at the launch.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace rmbg {

constexpr int kWarp = 32;

constexpr __host__ __device__ int blocks_for(std::int64_t count, int per_block) {
  return static_cast<int>((count + per_block - 1) / per_block);
}

}  // namespace rmbg

#if defined(RMBG_CUDA_STAND_IN)
#define RMBG_DYNAMIC_SHARED(name) unsigned char* const name = stand_in::dynamic_shared()
#else
#define RMBG_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif
