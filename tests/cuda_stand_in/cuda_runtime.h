// SPDX-License-Identifier: Apache-2.0
// For files that include CUDA's header for kernels: the stand-in has one set of declarations, and the typed overloads
// that only this header of CUDA has.
#pragma once

#include "cuda_runtime_api.h"

template <typename T>
cudaError_t cudaMalloc(T** data, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(data), bytes);
}

template <typename T>
cudaError_t cudaHostAlloc(T** data, size_t bytes, unsigned int flags) {
  return cudaHostAlloc(reinterpret_cast<void**>(data), bytes, flags);
}
