// SPDX-License-Identifier: Apache-2.0
// Where memory lies, and getting it. A build without CUDA has only the first kind.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rmbg {

/// kHost: the processor's. kPinned: the processor's, page-locked, which GPUs copy from and to fastest.
/// kDevice: of the GPU that is current when it is taken.
enum class MemoryKind { kHost, kPinned, kDevice };
constexpr int kMemoryKinds = 3;

/// 64-byte aligned, contents undefined. Throws std::bad_alloc for host memory, CudaError, UnavailableError.
void* allocate(MemoryKind kind, std::size_t bytes);
/// bytes: as many as were allocated.
void deallocate(MemoryKind kind, void* data, std::size_t bytes) noexcept;

/// From GPU memory, whose work must have ended, to the host's; waits until the bytes are there. Any thread may call.
/// Throws CudaError, UnavailableError.
void copy_to_host(void* to, const void* from, std::size_t bytes);

/// The kinds that a build with CUDA has besides host memory: memory_cuda.cpp, or else pipeline/without_cuda.cpp.
void* allocate_cuda(MemoryKind kind, std::size_t bytes);
void deallocate_cuda(MemoryKind kind, void* data, std::size_t bytes) noexcept;
/// Bytes that deallocate_cuda() was given and could not free yet: CUDA refuses it while a stream is captured. They are
/// freed by a later call of either function.
std::int64_t unfreed_cuda_bytes(MemoryKind kind) noexcept;

}  // namespace rmbg
