// SPDX-License-Identifier: Apache-2.0
// GPU memory that other libraries may use too. Streams are handles: 1 is the legacy default stream, 2 the per-thread
// default stream. No CUDA header is needed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.h"

namespace rmbg {

/// Any thread may call and drop it. Only to_host() waits for the GPU.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual void* data() const = 0;
  virtual int device() const = 0;
  /// The stream whose work writes the memory, or 0 when nothing is pending.
  virtual std::uintptr_t stream() const = 0;
  /// Later work on `stream` runs after the work that writes this memory.
  virtual void make_wait(std::uintptr_t stream) = 0;
  /// Tells that a consumer uses the memory on this stream, which must live until the memory is dropped. The memory is
  /// not reused before that work is done.
  virtual void used_on(std::uintptr_t stream) = 0;
  /// Copies the first `bytes` to the host, and waits for them.
  virtual void to_host(void* to, std::size_t bytes) = 0;
};

/// Memory that has no pending work and outlives all its users, so nothing has to be ordered.
class SettledMemory : public DeviceMemory {
 public:
  std::uintptr_t stream() const override { return 0; }
  void make_wait(std::uintptr_t) override {}
  void used_on(std::uintptr_t) override {}
  void to_host(void* to, std::size_t bytes) override { copy_to_host(to, data(), bytes); }
};

}  // namespace rmbg
