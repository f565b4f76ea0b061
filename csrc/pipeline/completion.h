// SPDX-License-Identifier: Apache-2.0
// The outcome of a submitted job, shared by the pipeline and its caller.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>

#include "core/fork.h"

namespace rmbg {

class Completion {
 public:
  Completion() = default;
  /// Keeps the lock of a parent process: destroying its condition variable waits for threads that a child does not
  /// have.
  ~Completion() {
    if (generation_ == fork_generation()) lock_.~Lock();
  }
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  /// Waits up to `seconds` (negative: forever). Returns whether the job has ended. Throws Error in a forked child if
  /// the job was in flight at the fork: only the parent ends it.
  bool wait(double seconds) const;
  /// Rethrows the job's error, if any. Call it after wait() returned true.
  void rethrow() const;
  /// The job has ended.
  void finish(std::exception_ptr error);

 private:
  struct Lock {
    std::mutex mutex;
    std::condition_variable changed;
  };
  alignas(Lock) unsigned char storage_[sizeof(Lock)];
  Lock& lock_ = *new (storage_) Lock;
  const unsigned generation_ = fork_generation();
  std::atomic<bool> done_{false};
  std::exception_ptr error_;
};

}  // namespace rmbg
