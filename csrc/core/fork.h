// SPDX-License-Identifier: Apache-2.0
// fork() in a process with threads: the child has only the thread that called it, and locks that other threads held
// stay locked. Objects with locks and threads are told (pthread_atfork), so that they work in the child.
#pragma once

#include <new>

namespace rmbg {

/// The number of forks between the first process and this one.
unsigned fork_generation();

/// An object whose locks and threads are created anew in a forked child. Call watch_forks() last in the constructor and
/// ignore_forks() first in the destructor.
class ForkAware {
 public:
  ForkAware() = default;
  ForkAware(const ForkAware&) = delete;
  ForkAware& operator=(const ForkAware&) = delete;

  /// Locks the object's state, if the child needs it in a consistent state. A thread that holds this lock must not wait
  /// for the GIL or for the lock of another fork-aware object.
  virtual void before_fork() {}
  virtual void after_fork_in_parent() {}
  /// Must renew() locks and condition variables, and forget threads.
  virtual void after_fork_in_child() = 0;

 protected:
  ~ForkAware() = default;
  void watch_forks();
  void ignore_forks();

  /// Creates a lock or a condition variable anew without destroying the old one, which might wait forever.
  template <typename T>
  static void renew(T& lock) {
    new (&lock) T;
  }

 private:
  friend struct ForkList;
  ForkAware *previous_ = nullptr, *next_ = nullptr;
};

}  // namespace rmbg
