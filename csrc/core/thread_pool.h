// SPDX-License-Identifier: Apache-2.0
// One pool of threads for the whole program, and parallel loops on it. The caller works too, so a pool without threads
// (one core) still finishes. Several callers may run loops at once. A forked child starts threads of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "core/fork.h"

namespace rmbg {

/// A borrowed callable: no allocation, valid only during the call it is passed to.
class RangeFunction {
 public:
  template <typename F>
  RangeFunction(F& body)  // NOLINT: implicit on purpose
      : object_(&body), call_([](void* object, std::int64_t begin, std::int64_t end, int worker) {
          (*static_cast<F*>(object))(begin, end, worker);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end, int worker) const { call_(object_, begin, end, worker); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t, int);
};

class ThreadPool final : public ForkAware {
 public:
  /// The pool, created at first use with one thread per usable core (RMBG_NUM_THREADS overrides; throws
  /// std::invalid_argument if that is not a number of threads).
  static ThreadPool& instance();

  /// Threads that can work on one run(), the caller included.
  int workers() const { return threads_ + 1; }

  /// Calls body(begin, end, worker) on pieces of at most `grain` until [0, count) is done. `worker` is in
  /// [0, workers()) and unique within this call. The first exception is rethrown here.
  void run(std::int64_t count, std::int64_t grain, RangeFunction body);

 private:
  struct Job;
  explicit ThreadPool(int threads);
  void after_fork_in_child() override;
  void start();
  void work();
  Job* next_job();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> posted_{0};  // jobs ever put on the list; what an idle thread watches
  Job* jobs_ = nullptr;                   // intrusive list of running jobs; each lives on its caller's stack
  const int threads_;                     // started by the first job
  std::atomic<bool> started_{false};
};

/// Threads that may work on one parallel_for, the caller included.
inline int parallel_workers() { return ThreadPool::instance().workers(); }

/// Calls body(begin, end) for pieces of [0, count) of at most `grain`, on all cores, and waits for them.
template <typename F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& body) {
  auto call = [&body](std::int64_t begin, std::int64_t end, int) { body(begin, end); };
  ThreadPool::instance().run(count, grain, call);
}

/// The same with body(begin, end, worker): worker is in [0, parallel_workers()) and unique within this call, to index
/// the caller's scratch memory.
template <typename F>
void parallel_for_worker(std::int64_t count, std::int64_t grain, F&& body) {
  ThreadPool::instance().run(count, grain, body);
}

/// Rows of a piece so that it is worth a thread's while: about 32 Ki samples.
inline std::int64_t rows_per_piece(std::int64_t samples_per_row) {
  constexpr std::int64_t kSamples = 32 * 1024;
  return samples_per_row >= kSamples ? 1
                                     : (kSamples + samples_per_row - 1) / (samples_per_row > 0 ? samples_per_row : 1);
}

}  // namespace rmbg
