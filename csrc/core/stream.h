// SPDX-License-Identifier: Apache-2.0
// The stream is an explicit, last argument everywhere. On the CPU it is empty, and calls return when the work is done.
#pragma once

#include <atomic>
#include <cstdint>

namespace rmbg {

/// A cudaStream_t as an opaque handle, so that passing it needs no CUDA header.
struct Stream {
  void* handle = nullptr;
};

/// Identifies a stream. The handle is enough, except for 2, the per-thread default stream, which differs in each
/// thread. Threads are numbered here, because the system reuses thread ids.
struct StreamKey {
  std::uintptr_t handle = 0;
  std::uint64_t thread = 0;  // 0 unless the handle is 2

  friend bool operator==(const StreamKey& a, const StreamKey& b) {
    return a.handle == b.handle && a.thread == b.thread;
  }
  friend bool operator!=(const StreamKey& a, const StreamKey& b) { return !(a == b); }
};

/// The key of a handle in this thread.
inline StreamKey stream_key(std::uintptr_t handle) {
  constexpr std::uintptr_t kPerThread = 2;  // cudaStreamPerThread
  static std::atomic<std::uint64_t> threads{0};
  thread_local const std::uint64_t thread = ++threads;
  return {handle, handle == kPerThread ? thread : 0};
}
inline StreamKey stream_key(Stream stream) { return stream_key(reinterpret_cast<std::uintptr_t>(stream.handle)); }

}  // namespace rmbg
