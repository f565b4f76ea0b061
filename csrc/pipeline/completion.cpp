// SPDX-License-Identifier: Apache-2.0
#include "pipeline/completion.h"

#include <chrono>
#include <utility>

#include "core/error.h"

namespace rmbg {

bool Completion::wait(double seconds) const {
  const auto done = [this] { return done_.load(); };
  if (generation_ != fork_generation()) {  // a thread of the parent may have held the lock at the fork
    if (!done())
      throw Error(
          "this frame was submitted before the process was forked, and only the parent finishes it; submit it again");
    return true;
  }
  std::unique_lock lock(lock_.mutex);
  if (seconds < 0) {
    lock_.changed.wait(lock, done);
    return true;
  }
  return lock_.changed.wait_for(lock, std::chrono::duration<double>(seconds), done);
}

void Completion::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

void Completion::finish(std::exception_ptr error) {
  std::lock_guard lock(lock_.mutex);
  error_ = std::move(error);
  done_ = true;
  lock_.changed.notify_all();
}

}  // namespace rmbg
