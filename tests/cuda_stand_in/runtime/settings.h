// SPDX-License-Identifier: Apache-2.0
// Settings from environment variables. They are read each time, so that a test can change them while it runs.
#pragma once

#include <cstddef>

namespace stand_in {

/// RMBG_STAND_IN_ORDER: the order of blocks, of threads between barriers, and of a graph's independent nodes.
enum class Order { kForward, kBackward, kShuffled };
Order order();

/// RMBG_STAND_IN_SCHEDULE: when work runs. Late: when something waits for it. Eager: at once. Random: at each call
/// every stream may run a few pieces of work.
enum class Schedule { kLate, kEager, kRandom };
Schedule schedule();

/// A number from 0 to count - 1 for the random schedule, which begins anew whenever RMBG_STAND_IN_SEED changes. One
/// call at a time.
std::size_t random_below(std::size_t count);

/// RMBG_STAND_IN_OPEN=1: the host may touch device memory.
bool open_memory();

/// RMBG_STAND_IN_DEVICES, 1 unless set.
int device_count();

constexpr int kUninitialized = 0xCD;  // each byte of memory, as it begins

/// The numbers 0 … count-1 in the requested order. A shuffled order differs each time but is the same in each process.
class Permutation {
 public:
  explicit Permutation(std::size_t count);
  std::size_t next() {
    const std::size_t number = next_;
    next_ += step_;
    if (next_ >= count_) next_ -= count_;
    return number;
  }

 private:
  std::size_t count_, next_, step_;
};

}  // namespace stand_in
