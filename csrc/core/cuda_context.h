// SPDX-License-Identifier: Apache-2.0
// CUDA contexts. The runtime, and every library built on it, shares a device's primary context. If a program has made
// another context current, our memory and streams do not exist in it.
#pragma once

namespace rmbg {

/// Throws CudaError if this thread's current context is not the device's primary one.
void check_context(int device);

/// Makes a device current for the calling thread, and at the end restores exactly what was current before, even if that
/// was nothing: for a thread that never used CUDA the runtime would otherwise create a context of some hundred MB on
/// GPU 0 (CUDA driver API, "Context Management").
class DeviceScope {
 public:
  /// pushed: also makes the primary context current if the device already is, for libraries that ask the driver for the
  /// current context; a thread that has not used CUDA yet has none.
  explicit DeviceScope(int device, bool pushed = false) : device_(device), pushed_(pushed) { enter(); }
  ~DeviceScope() { leave(); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  void enter();
  void leave() noexcept;

 private:
  enum class Changed { kNothing, kContext, kDevice };

  int device_;
  bool pushed_;
  int before_ = 0;
  Changed changed_ = Changed::kNothing;
};

}  // namespace rmbg
