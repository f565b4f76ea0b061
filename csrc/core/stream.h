// SPDX-License-Identifier: Apache-2.0
// The queue that work is put on. It is an explicit, last argument everywhere; on the CPU it is empty
// and work has ended when the call returns.
#pragma once

#include <atomic>
#include <cstdint>

namespace rmbg {

/// A cudaStream_t as an opaque handle, so that no CUDA header is needed to pass it on.
struct Stream {
  void* handle = nullptr;
};

/// What tells a stream from all others. A handle does, but for 2, the default stream of a thread, which is another one
/// in each thread; threads are counted, for their ids are given again.
struct StreamKey {
  std::uintptr_t handle = 0;
  std::uint64_t thread = 0;  // 0 where the handle says it all

  friend bool operator==(const StreamKey& a, const StreamKey& b) {
    return a.handle == b.handle && a.thread == b.thread;
  }
  friend bool operator!=(const StreamKey& a, const StreamKey& b) { return !(a == b); }
};

/// Of the stream that a handle means to this thread.
inline StreamKey stream_key(std::uintptr_t handle) {
  constexpr std::uintptr_t kPerThread = 2;  // cudaStreamPerThread
  static std::atomic<std::uint64_t> threads{0};
  thread_local const std::uint64_t thread = ++threads;
  return {handle, handle == kPerThread ? thread : 0};
}
inline StreamKey stream_key(Stream stream) { return stream_key(reinterpret_cast<std::uintptr_t>(stream.handle)); }

}  // namespace rmbg
