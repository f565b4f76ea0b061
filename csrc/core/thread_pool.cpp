// SPDX-License-Identifier: Apache-2.0
// A job is a range with an atomic cursor, from which threads take pieces until it is empty.
#include "core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace rmbg {
namespace {

// An idle thread spins this long before it sleeps: the stages of a frame follow each other within microseconds, and
// waking a thread takes tens of them.
constexpr std::chrono::microseconds kSpin{50};

constexpr int kMostThreads = 1024;

int usable_cores() {
  if (const char* text = std::getenv("RMBG_NUM_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && n >= 1 && n <= kMostThreads) return static_cast<int>(n);
    if (*text != '\0')
      throw std::invalid_argument(std::string("the environment variable RMBG_NUM_THREADS is '") + text +
                                  "'; expected a whole number from 1 to " + std::to_string(kMostThreads));
  }
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

template <typename Ready>
void spin_until(Ready ready) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (!ready() && std::chrono::steady_clock::now() < until) relax();
}

}  // namespace

struct ThreadPool::Job {
  std::int64_t count;
  std::int64_t grain;
  RangeFunction body;
  std::atomic<std::int64_t> cursor{0};
  // All below under mutex_.
  int joined = 1;              // the caller is worker 0
  std::atomic<int> active{0};  // pool threads inside; read without the lock only to spin
  std::exception_ptr error{};
  Job* next = nullptr;

  bool has_work() const { return cursor.load(std::memory_order_relaxed) < count; }

  void drain(int worker) {
    for (;;) {
      const std::int64_t begin = cursor.fetch_add(grain);
      if (begin >= count) return;
      body(begin, std::min(begin + grain, count), worker);
    }
  }
};

ThreadPool& ThreadPool::instance() {
  // Never destroyed: threads may still wait on it while the program ends.
  static ThreadPool* pool = new ThreadPool(usable_cores() - 1);
  return *pool;
}

ThreadPool::ThreadPool(int threads) : threads_(threads) { watch_forks(); }

void ThreadPool::start() {
  const std::lock_guard lock(mutex_);
  if (started_.load(std::memory_order_relaxed)) return;
  try {
    for (int i = 0; i < threads_; ++i) std::thread([this] { work(); }).detach();
  } catch (const std::system_error&) {  // no more to be had: those that there are, and the caller, do the work
  }
  started_.store(true, std::memory_order_relaxed);
}

void ThreadPool::after_fork_in_child() {
  renew(mutex_);
  renew(wake_);
  renew(done_);
  jobs_ = nullptr;
  started_.store(false, std::memory_order_relaxed);
}

ThreadPool::Job* ThreadPool::next_job() {
  for (Job* job = jobs_; job != nullptr; job = job->next)
    if (job->has_work() && job->joined < workers()) return job;
  return nullptr;
}

void ThreadPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Job* job = next_job();
    if (job == nullptr) {
      const std::uint64_t seen = posted_.load(std::memory_order_relaxed);
      lock.unlock();
      spin_until([&] { return posted_.load(std::memory_order_relaxed) != seen; });
      lock.lock();
      if ((job = next_job()) == nullptr) {
        wake_.wait(lock);
        continue;
      }
    }
    const int worker = job->joined++;
    ++job->active;
    lock.unlock();
    std::exception_ptr error;
    try {
      job->drain(worker);
    } catch (...) {
      error = std::current_exception();
      job->cursor.store(job->count);
    }
    lock.lock();
    if (error && !job->error) job->error = error;
    if (--job->active == 0) done_.notify_all();
  }
}

void ThreadPool::run(std::int64_t count, std::int64_t grain, RangeFunction body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (count <= grain || threads_ == 0) {
    body(0, count, 0);
    return;
  }
  if (!started_.load(std::memory_order_relaxed)) start();
  Job job{count, grain, body};
  {
    std::lock_guard lock(mutex_);
    job.next = jobs_;
    jobs_ = &job;
    posted_.fetch_add(1, std::memory_order_relaxed);
  }
  wake_.notify_all();
  std::exception_ptr error;
  try {
    job.drain(0);
  } catch (...) {
    error = std::current_exception();
    job.cursor.store(job.count);
  }
  std::unique_lock lock(mutex_);
  Job** link = &jobs_;  // off the list first, so that no other thread can join
  while (*link != &job) link = &(*link)->next;
  *link = job.next;
  lock.unlock();
  spin_until([&] { return job.active == 0; });
  lock.lock();
  done_.wait(lock, [&] { return job.active == 0; });
  if (error || job.error) std::rethrow_exception(error ? error : job.error);
}

}  // namespace rmbg
