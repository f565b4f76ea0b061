// SPDX-License-Identifier: Apache-2.0
// Host memory is aligned operator new, so that it works with every C++17 library.
#include "core/buffer.h"

#include <atomic>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace rmbg {
namespace {

constexpr std::align_val_t kAlignment{64};
std::atomic<std::int64_t> g_allocations{0};
std::atomic<std::int64_t> g_bytes_in_use[kMemoryKinds];

std::atomic<std::int64_t>& bytes_of(MemoryKind kind) { return g_bytes_in_use[static_cast<int>(kind)]; }

}  // namespace

void* allocate(MemoryKind kind, std::size_t bytes) {
  return kind == MemoryKind::kHost ? ::operator new(bytes, kAlignment) : allocate_cuda(kind, bytes);
}

void deallocate(MemoryKind kind, void* data, std::size_t bytes) noexcept {
  if (kind == MemoryKind::kHost) {
    ::operator delete(data, kAlignment);
  } else {
    deallocate_cuda(kind, data, bytes);
  }
}

void trim_heap() noexcept {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

bool Buffer::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return false;
  release();
  data_ = allocate(kind_, bytes);
  capacity_ = bytes;
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  bytes_of(kind_).fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  return true;
}

void reserve_huge(Buffer& buffer, std::size_t bytes) {
  buffer.reserve(bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = 4096;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(buffer.as<char>()) + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(buffer.as<char>()) + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

void Buffer::release() noexcept {
  if (data_ == nullptr) return;
  deallocate(kind_, data_, capacity_);
  bytes_of(kind_).fetch_sub(static_cast<std::int64_t>(capacity_), std::memory_order_relaxed);
  data_ = nullptr;
  capacity_ = 0;
}

std::int64_t Buffer::allocations() { return g_allocations.load(std::memory_order_relaxed); }
std::int64_t Buffer::bytes_in_use(MemoryKind kind) {
  const std::int64_t held = bytes_of(kind).load(std::memory_order_relaxed);
  return kind == MemoryKind::kHost ? held : held + unfreed_cuda_bytes(kind);
}

}  // namespace rmbg
