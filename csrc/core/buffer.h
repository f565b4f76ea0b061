// SPDX-License-Identifier: Apache-2.0
// Memory: where it lies, how it is allocated, and Buffer, which owns it. A Buffer only grows, so a pipeline that has
// seen its largest frame allocates no more. Tests check that with the counters. Without CUDA there is only host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace rmbg {

/// kPinned: page-locked host memory, which GPUs copy from and to fastest. kDevice: memory of the GPU that is current
/// when it is allocated.
enum class MemoryKind { kHost, kPinned, kDevice };
constexpr int kMemoryKinds = 3;

/// 64-byte aligned, contents undefined. Throws std::bad_alloc for host memory, CudaError, UnavailableError.
void* allocate(MemoryKind kind, std::size_t bytes);
/// bytes: as allocated.
void deallocate(MemoryKind kind, void* data, std::size_t bytes) noexcept;

/// Returns the heap's free memory to the system, where that is possible (glibc). Takes milliseconds, so call it only
/// after much was freed.
void trim_heap() noexcept;

/// Copies GPU memory, whose work must have ended, to the host and waits for the copy. Any thread may call it.
/// Throws CudaError, UnavailableError.
void copy_to_host(void* to, const void* from, std::size_t bytes);

/// For the kinds other than kHost: memory_cuda.cpp, or pipeline/without_cuda.cpp.
void* allocate_cuda(MemoryKind kind, std::size_t bytes);
void deallocate_cuda(MemoryKind kind, void* data, std::size_t bytes) noexcept;
/// Bytes that deallocate_cuda() could not free yet, because CUDA refuses while a stream is captured. A later call of
/// either function frees them.
std::int64_t unfreed_cuda_bytes(MemoryKind kind) noexcept;

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

  /// Makes room for `bytes`. Returns false, and does nothing, if there is room already. Throws as allocate() does.
  bool reserve(std::size_t bytes);

  MemoryKind kind() const { return kind_; }
  std::size_t capacity() const { return capacity_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  /// Allocations by all Buffers since the program began.
  static std::int64_t allocations();
  /// Bytes that all Buffers of one kind hold now, including those that CUDA has not freed yet.
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

/// Reserves host memory and advises 2 MB pages for it, which the system may ignore. A Winograd transform touches dozens
/// of distant lines for every tile: with 4 KB pages each is a miss in the first-level TLB.
void reserve_huge(Buffer& buffer, std::size_t bytes);

}  // namespace rmbg
