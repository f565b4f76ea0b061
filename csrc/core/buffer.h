// SPDX-License-Identifier: Apache-2.0
// Owned memory. A Buffer only grows, so a pipeline that has seen its largest frame allocates no more.
// Tests check that with the counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/memory.h"

namespace rmbg {

/// Move-only block of memory, 64-byte aligned. Contents are undefined after it grows.
class Buffer {
 public:
  explicit Buffer(MemoryKind kind) : kind_(kind) {}
  Buffer() = default;
  explicit Buffer(std::size_t bytes, MemoryKind kind = MemoryKind::kHost) : kind_(kind) { reserve(bytes); }
  ~Buffer() { release(); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  /// Makes room for `bytes`; does nothing, and says false, when there is room already. Throws as allocate() does.
  bool reserve(std::size_t bytes);

  MemoryKind kind() const { return kind_; }
  std::size_t capacity() const { return capacity_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  /// Allocations made by all Buffers since the program began.
  static std::int64_t allocations();
  /// Bytes held by all Buffers of one kind now, and those that CUDA would not free yet.
  static std::int64_t bytes_in_use(MemoryKind kind = MemoryKind::kHost);

 private:
  void release() noexcept;
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(kind_, other.kind_);
  }

  void* data_ = nullptr;
  std::size_t capacity_ = 0;
  MemoryKind kind_ = MemoryKind::kHost;
};

}  // namespace rmbg
