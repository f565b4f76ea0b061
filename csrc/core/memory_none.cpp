// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/error.h"
#include "core/memory.h"

namespace rmbg {

void* allocate_cuda(MemoryKind, std::size_t) { throw UnavailableError(kNoCuda); }
void deallocate_cuda(MemoryKind, void*, std::size_t) noexcept {}
std::int64_t unfreed_cuda_bytes(MemoryKind) noexcept { return 0; }
void copy_to_host(void*, const void*, std::size_t) { throw UnavailableError(kNoCuda); }

}  // namespace rmbg
