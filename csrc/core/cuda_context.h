// SPDX-License-Identifier: Apache-2.0
// CUDA contexts. The runtime, and every library built on it, shares a device's primary context; a program may have made
// and left current another one, in which none of our memory and streams exist.
#pragma once

namespace rmbg {

/// Throws CudaError where another context than the device's primary one is current in this thread.
void check_context(int device);

/// Makes a device current for the calling thread, and whatever was before it again at the end. Where that is another
/// device than a thread has without asking, it may be nothing: a thread that never used CUDA is not given GPU 0, for
/// which the runtime would make a context of some hundred MB there (CUDA driver API, "Context Management").
class DeviceScope {
 public:
  /// pushed: its primary context becomes the current one even where the device is the thread's anyway, for libraries
  /// that ask the driver for the current context: a thread that has not used CUDA yet has none.
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
