// SPDX-License-Identifier: Apache-2.0
// Pinned and device memory. Freeing waits until the GPU has done with it (cudaFree does).
#include "core/cuda_check.h"
#include "core/memory.h"

namespace rmbg {

void* allocate_cuda(MemoryKind kind, std::size_t bytes) {
  void* data = nullptr;
  if (kind == MemoryKind::kPinned) {
    check(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "allocating pinned memory");
  } else {
    check(cudaMalloc(&data, bytes), "allocating GPU memory");
  }
  return data;
}

void deallocate_cuda(MemoryKind kind, void* data) noexcept {
  // At the end of a process the driver may be gone before us: then there is nothing to free.
  if (kind == MemoryKind::kPinned) {
    cudaFreeHost(data);
  } else {
    cudaFree(data);
  }
  cudaGetLastError();
}

}  // namespace rmbg
