// SPDX-License-Identifier: Apache-2.0
// Advice to the kernel about a Buffer's memory; it may be ignored.
#include "network/cpu/huge_pages.h"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace rmbg::cpu {

void reserve_huge(Buffer& buffer, std::size_t bytes) {
  buffer.reserve(bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = 4096;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(buffer.as<char>()) + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(buffer.as<char>()) + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace rmbg::cpu
