// SPDX-License-Identifier: Apache-2.0
// A function with a stack of its own, which can be suspended and resumed.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>

namespace stand_in {

class Fiber {
 public:
  using Body = void (*)(void*);

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs body(argument) until it suspends or returns. From the thread that made the fiber.
  void start(Body body, void* argument);
  /// Continues after suspend(), until the next suspend() or the end.
  void resume();
  /// From inside: returns to the caller of start() or resume().
  void suspend();
  bool is_done() const { return body_ == nullptr; }

 private:
  static void enter();
  void loop();

  void* stack_;
  Body body_ = nullptr;
  void* argument_ = nullptr;
  ucontext_t first_inside_, first_outside_;
  // swapcontext asks the kernel for the signal mask each time; after the first entry these are used instead.
  jmp_buf inside_, outside_;
};

}  // namespace stand_in
