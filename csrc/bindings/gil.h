// SPDX-License-Identifier: Apache-2.0
// Guards that release and take the GIL, like pybind11's, but safe at the end of the program. Once the interpreter is
// finalized, Python up to 3.13 ends a daemon thread that asks for the GIL by unwinding its stack (pthread_exit), which
// aborts the process at the first destructor. Here such a thread sleeps until the process ends, as in Python 3.14.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace rmbg {

/// Calls a function that may unwind the thread. If it does, the thread sleeps there forever.
template <typename F>
auto or_sleep(F&& take_gil) noexcept {
  try {
    return take_gil();
  } catch (...) {  // pthread_exit unwinds the stack; leaving this block would end the process
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

/// Releases the GIL for its lifetime.
class GilRelease {
 public:
  GilRelease() : state_(PyEval_SaveThread()) {}
  ~GilRelease() {
    or_sleep([this] {
      PyEval_RestoreThread(state_);
      return 0;
    });
  }
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  PyThreadState* state_;
};

/// Holds the GIL for its lifetime, in any thread.
class GilHold {
 public:
  GilHold() : state_(or_sleep([] { return PyGILState_Ensure(); })) {}
  ~GilHold() { PyGILState_Release(state_); }
  GilHold(const GilHold&) = delete;
  GilHold& operator=(const GilHold&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace rmbg
