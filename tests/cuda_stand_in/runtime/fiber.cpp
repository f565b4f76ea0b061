// SPDX-License-Identifier: Apache-2.0

// Before all headers: the checked longjmp takes a jump to another stack for a fault.
#undef _FORTIFY_SOURCE

#include "runtime/fiber.h"

#include <sys/mman.h>

#include "runtime/die.h"

namespace stand_in {
namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kCacheLines = 64;  // of a page

thread_local std::size_t made = 0;
thread_local Fiber* entering = nullptr;  // makecontext passes on nothing but ints

}  // namespace

Fiber::Fiber() {
  stack_ = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack_ == MAP_FAILED || mprotect(stack_, kGuardBytes, PROT_NONE) != 0) die("no memory for the stack of a thread");
  // Stacks that all began at the same place of a page would be given the same few lines of the cache.
  getcontext(&first_inside_);
  first_inside_.uc_stack.ss_sp = static_cast<char*>(stack_) + kGuardBytes;
  first_inside_.uc_stack.ss_size = kStackBytes - made++ % kCacheLines * kCacheLine;
  first_inside_.uc_link = nullptr;
  makecontext(&first_inside_, &Fiber::enter, 0);
  entering = this;
  swapcontext(&first_outside_, &first_inside_);
}

Fiber::~Fiber() { munmap(stack_, kGuardBytes + kStackBytes); }

void Fiber::enter() { entering->loop(); }

void Fiber::loop() {
#if defined(RMBG_STAND_IN_CHECKS)
  if (_setjmp(inside_) == 0) swapcontext(&first_inside_, &first_outside_);
#else
  swapcontext(&first_inside_, &first_outside_);
#endif
  for (;;) {
    body_(argument_);
    body_ = nullptr;
    suspend();
  }
}

void Fiber::start(Body body, void* argument) {
  body_ = body;
  argument_ = argument;
  resume();
}

#if defined(RMBG_STAND_IN_CHECKS)
void Fiber::resume() {
  if (_setjmp(outside_) == 0) _longjmp(inside_, 1);
}

void Fiber::suspend() {
  if (_setjmp(inside_) == 0) _longjmp(outside_, 1);
}
#else  // ThreadSanitizer's longjmp takes a jump to another stack for a fault
void Fiber::resume() { swapcontext(&first_outside_, &first_inside_); }

void Fiber::suspend() { swapcontext(&first_inside_, &first_outside_); }
#endif

}  // namespace stand_in
