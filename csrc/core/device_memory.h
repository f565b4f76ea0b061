// SPDX-License-Identifier: Apache-2.0
// GPU memory that other libraries may use too. Streams are handles, as in Stream: 1 the legacy default, 2 the
// per-thread default. No CUDA header is needed to hold one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/memory.h"

namespace rmbg {

/// Any thread may call and drop it. Nothing here waits for the GPU but to_host().
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual void* data() const = 0;
  virtual int device() const = 0;
  /// The stream whose work writes the memory, or 0 when nothing is pending.
  virtual std::uintptr_t stream() const = 0;
  /// Work put on `stream` from now on runs after what writes this memory.
  virtual void make_wait(std::uintptr_t stream) = 0;
  /// A consumer uses the memory on this stream, which must live until the memory is dropped: it is not written again
  /// before that work is done.
  virtual void used_on(std::uintptr_t stream) = 0;
  /// Copies `bytes` from the beginning to the host, and waits for them.
  virtual void to_host(void* to, std::size_t bytes) = 0;
};

/// Memory with nothing pending that lives longer than all who use it: there is nothing to put in order.
class SettledMemory : public DeviceMemory {
 public:
  std::uintptr_t stream() const override { return 0; }
  void make_wait(std::uintptr_t) override {}
  void used_on(std::uintptr_t) override {}
  void to_host(void* to, std::size_t bytes) override { copy_to_host(to, data(), bytes); }
};

}  // namespace rmbg
