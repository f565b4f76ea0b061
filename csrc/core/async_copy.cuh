// SPDX-License-Identifier: Apache-2.0
// Copies from memory to shared memory that a thread begins and waits for later: all are on their way at once, and no
// register holds them (CUDA programming guide, "Asynchronous Data Copies"; before compute capability 8.0 plain copies).
#pragma once

#include <cuda_pipeline_primitives.h>
#include <cuda_runtime.h>

#include <cstddef>

namespace rmbg {

/// Begins to copy kBytes, 4, 8 or 16, between addresses that are multiples of it.
template <std::size_t kBytes>
__device__ void copy_async(void* shared, const void* global) {
  __pipeline_memcpy_async(shared, global, kBytes);
}

/// Until all that this thread began are there for it; the other threads of the block need a barrier after that.
inline __device__ void wait_for_copies() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

}  // namespace rmbg
