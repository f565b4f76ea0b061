// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/error.h"
#include "core/memory.h"

namespace rmbg {

void* allocate_cuda(MemoryKind, std::size_t) { throw UnavailableError(kNoCuda); }
void deallocate_cuda(MemoryKind, void*) noexcept {}
void copy_to_host(void*, const void*, std::size_t) { throw UnavailableError(kNoCuda); }

}  // namespace rmbg
