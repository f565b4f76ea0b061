// SPDX-License-Identifier: Apache-2.0
// What kernels share: grid sizes, dynamic shared memory, and asynchronous copies into it (CUDA programming guide,
// "Asynchronous Data Copies"; plain copies before compute capability 8.0).
#pragma once

#include <cuda_pipeline_primitives.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "core/cuda_queue.h"

namespace rmbg {

constexpr int kWarp = 32;

constexpr __host__ __device__ int blocks_for(std::int64_t count, int per_block) {
  return static_cast<int>((count + per_block - 1) / per_block);
}

/// Begins to copy kBytes (4, 8 or 16) to shared memory. Both addresses are multiples of kBytes.
template <std::size_t kBytes>
__device__ void copy_async(void* shared, const void* global) {
  __pipeline_memcpy_async(shared, global, kBytes);
}

/// Waits for the copies that this thread began. A barrier must follow before other threads read them.
inline __device__ void wait_for_copies() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

}  // namespace rmbg

#if defined(RMBG_CUDA_STAND_IN)
#define RMBG_DYNAMIC_SHARED(name) unsigned char* const name = stand_in::dynamic_shared()
#else
#define RMBG_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif
