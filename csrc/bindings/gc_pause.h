// SPDX-License-Identifier: Apache-2.0
// Switches Python's garbage collector off while work is captured into a CUDA graph. The collector may run whenever an
// object is created, and what it frees may be GPU memory of another library, which invalidates the capture.
#pragma once

#include <pybind11/pybind11.h>

#include <mutex>

namespace rmbg {

/// Off for the whole process until the last pause ends; then as it was before the first. Made and ended with the GIL.
class GcPause {
 public:
  GcPause() {
    const std::lock_guard lock(state().mutex);
    if (state().pauses++ == 0) state().was_on = PyGC_Disable() != 0;
  }
  ~GcPause() {
    const std::lock_guard lock(state().mutex);
    if (--state().pauses == 0 && state().was_on) PyGC_Enable();
  }
  GcPause(const GcPause&) = delete;
  GcPause& operator=(const GcPause&) = delete;

 private:
  struct State {
    std::mutex mutex;  // for builds of Python without the GIL
    int pauses = 0;
    bool was_on = false;
  };
  static State& state() {
    static State only;
    return only;
  }
};

}  // namespace rmbg
