// SPDX-License-Identifier: Apache-2.0
// Host memory for Buffer: aligned operator new, so that it works with every C++17 library.
#include "core/buffer.h"

#include <atomic>
#include <new>

namespace rmbg {
namespace {

constexpr std::align_val_t kAlignment{64};
std::atomic<std::int64_t> g_allocations{0};
std::atomic<std::int64_t> g_bytes_in_use{0};

}  // namespace

void Buffer::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  release();
  data_ = ::operator new(bytes, kAlignment);
  capacity_ = bytes;
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  g_bytes_in_use.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

void Buffer::release() noexcept {
  if (data_ == nullptr) return;
  ::operator delete(data_, kAlignment);
  g_bytes_in_use.fetch_sub(static_cast<std::int64_t>(capacity_), std::memory_order_relaxed);
  data_ = nullptr;
  capacity_ = 0;
}

std::int64_t Buffer::allocations() { return g_allocations.load(std::memory_order_relaxed); }
std::int64_t Buffer::bytes_in_use() { return g_bytes_in_use.load(std::memory_order_relaxed); }

}  // namespace rmbg
