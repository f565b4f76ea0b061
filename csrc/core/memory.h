// SPDX-License-Identifier: Apache-2.0
// Where memory lies, and getting it. A build without CUDA has only the first kind.
#pragma once

#include <cstddef>

namespace rmbg {

/// kHost: the processor's. kPinned: the processor's, page-locked, which GPUs copy from and to fastest.
/// kDevice: of the GPU that is current when it is taken.
enum class MemoryKind { kHost, kPinned, kDevice };
constexpr int kMemoryKinds = 3;

/// 64-byte aligned, contents undefined. Throws std::bad_alloc for host memory, CudaError, UnavailableError.
void* allocate(MemoryKind kind, std::size_t bytes);
void deallocate(MemoryKind kind, void* data) noexcept;

/// From GPU memory, whose work must have ended, to the host's; waits until the bytes are there. Any thread may call.
/// Throws CudaError, UnavailableError.
void copy_to_host(void* to, const void* from, std::size_t bytes);

/// The kinds a build has beside host memory: in memory_cuda.cpp or memory_none.cpp.
void* allocate_cuda(MemoryKind kind, std::size_t bytes);
void deallocate_cuda(MemoryKind kind, void* data) noexcept;

}  // namespace rmbg
