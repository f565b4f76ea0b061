// SPDX-License-Identifier: Apache-2.0
// One pool of threads for the whole program. The caller of run() works too, so a pool without threads
// (one core, or a forked child that lost them) still finishes; several callers may run at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

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

class ThreadPool {
 public:
  /// The pool, made at first use with one thread a usable core (RMBG_NUM_THREADS overrides).
  static ThreadPool& instance();

  /// Threads that can work on one run(), the caller included.
  int workers() const { return static_cast<int>(threads_.size()) + 1; }

  /// Calls body(begin, end, worker) on pieces of at most `grain` until [0, count) is done. `worker` is in
  /// [0, workers()) and unique within this call. The first exception is rethrown here.
  void run(std::int64_t count, std::int64_t grain, RangeFunction body);

 private:
  struct Job;
  explicit ThreadPool(int threads);
  void work();
  Job* next_job();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> posted_{0};  // jobs ever put on the list; what an idle thread watches
  Job* jobs_ = nullptr;                   // intrusive list of running jobs; each lives on its caller's stack
  std::vector<std::thread> threads_;
};

}  // namespace rmbg
