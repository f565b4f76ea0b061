// SPDX-License-Identifier: Apache-2.0
// A fiber runs one thread of a block after the other. A thread that reaches a barrier keeps the fiber, and another
// fiber goes on with the next thread; so a kernel without barriers is a loop in one fiber.
#include "runtime/grid.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "cuda_pipeline_primitives.h"
#include "runtime/die.h"
#include "runtime/fiber.h"
#include "runtime/race.h"
#include "runtime/report.h"
#include "runtime/settings.h"
#include "runtime/shared.h"

namespace stand_in {
namespace {

constexpr std::size_t kSharedAlignment = 16;

uint3 unravel(std::size_t index, dim3 size) {
  if (index < size.x) return {static_cast<unsigned>(index), 0, 0};  // most blocks have one row
  return {static_cast<unsigned>(index % size.x), static_cast<unsigned>(index / size.x % size.y),
          static_cast<unsigned>(index / size.x / size.y)};
}

std::size_t ravel(uint3 index, dim3 size) {
  return (static_cast<std::size_t>(index.z) * size.y + index.y) * size.x + index.x;
}

class Grid {
 public:
  Grid(const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments);
  void run();
  void wait_at_barrier();
  unsigned char* shared() const { return shared_; }
  void copy_later(void* to, const void* from, std::size_t bytes, const void* code);
  void do_copies(const void* code);
  const Kernel& kernel() const { return kernel_; }

 private:
  struct PendingCopy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  struct Waiting {
    Fiber* fiber;
    uint3 thread;
  };

  static void work(void* grid) { static_cast<Grid*>(grid)->run_threads(); }
  void run_threads();
  bool next_thread();
  void begin_block();
  void check_copies() const;
  void set_thread(uint3 thread);
  void enter(Fiber* fiber, bool fresh);

  const Kernel& kernel_;
  void* const* arguments_;
  dim3 grid_, block_;
  std::size_t shared_bytes_;
  unsigned char* shared_;
  std::size_t blocks_, threads_;
  Permutation block_order_, thread_order_;
  std::size_t blocks_begun_ = 0, threads_begun_ = 0;
  std::size_t suspended_ = 0;       // in both of these:
  std::deque<Waiting> phase_;       // those that may leave the barrier
  std::deque<Waiting> at_barrier_;  // those that have come to the next one
  Fiber* running_ = nullptr;
  std::vector<std::vector<PendingCopy>> copies_;  // of each thread of the block
  std::size_t pending_copies_ = 0;
};

// Of the thread of the CPU: fibers must be resumed where they were made, for the sake of thread-local variables.
thread_local Grid* current = nullptr;
thread_local std::vector<std::unique_ptr<Fiber>> idle;

Fiber* take_fiber() {
  if (idle.empty()) idle.push_back(std::make_unique<Fiber>());
  Fiber* const fiber = idle.back().release();
  idle.pop_back();
  return fiber;
}

Grid::Grid(const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments)
    : kernel_(kernel),
      arguments_(arguments),
      grid_(grid),
      block_(block),
      shared_bytes_(shared_bytes),
      blocks_(static_cast<std::size_t>(grid.x) * grid.y * grid.z),
      threads_(static_cast<std::size_t>(block.x) * block.y * block.z),
      block_order_(blocks_),
      thread_order_(threads_) {
  const Bytes arena = dynamic_arena();
  shared_ = arena.begin + arena.size - (shared_bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
}

void Grid::run() {
  gridDim = grid_;
  blockDim = block_;
  begin_block();
  for (;;) {
    if (threads_begun_ < threads_) {
      enter(take_fiber(), true);
      continue;
    }
    if (phase_.empty()) {
      phase_.swap(at_barrier_);
      begin_interval();
    }
    if (phase_.empty()) break;
    const Waiting waiting = phase_.front();
    phase_.pop_front();
    --suspended_;
    set_thread(waiting.thread);
    enter(waiting.fiber, false);
  }
  check_copies();
  poison_static_shared(kernel_, blocks_, true);
}

void Grid::set_thread(uint3 thread) {
  threadIdx = thread;
  set_accessing_thread(ravel(thread, block_));
}

void Grid::enter(Fiber* fiber, bool fresh) {
  running_ = fiber;
  if (fresh) {
    fiber->start(&Grid::work, this);
  } else {
    fiber->resume();
  }
  if (fiber->is_done()) idle.emplace_back(fiber);
}

void Grid::run_threads() {
  while (next_thread()) kernel_.signature.call(kernel_.function, arguments_);
}

/// Makes the next thread the running one, if need be of the next block; false if all there is waits at a barrier.
bool Grid::next_thread() {
  if (threads_begun_ == threads_) {
    if (suspended_ > 0 || blocks_begun_ == blocks_) return false;
    begin_block();
  }
  ++threads_begun_;
  set_thread(unravel(thread_order_.next(), block_));
  return true;
}

/// The hardware would write them to a block's shared memory that may be another's by then.
void Grid::check_copies() const {
  if (pending_copies_ > 0) die("a block ended before it waited for its asynchronous copies");
}

void Grid::copy_later(void* to, const void* from, std::size_t bytes, const void* code) {
  if (bytes != 4 && bytes != 8 && bytes != 16) die("an asynchronous copy of other than 4, 8 or 16 bytes");
  if ((reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) % bytes != 0)
    die("an asynchronous copy between addresses that are no multiples of its size");
  begin_copy_to(to, bytes, code);
  copies_.resize(threads_);
  copies_[ravel(threadIdx, block_)].push_back({to, from, bytes});
  ++pending_copies_;
}

void Grid::do_copies(const void* code) {
  if (copies_.empty()) return;
  auto& copies = copies_[ravel(threadIdx, block_)];
  for (const PendingCopy& copy : copies) {
    end_copy_to(copy.to, copy.bytes, code);
    std::memcpy(copy.to, copy.from, copy.bytes);
  }
  pending_copies_ -= copies.size();
  copies.clear();
}

void Grid::begin_block() {
  check_copies();
  poison_static_shared(kernel_, blocks_begun_, false);
  begin_interval();
  ++blocks_begun_;
  blockIdx = unravel(block_order_.next(), grid_);
  threads_begun_ = 0;
  thread_order_ = Permutation(threads_);
  std::memset(shared_, kUninitialized, shared_bytes_);
}

void Grid::wait_at_barrier() {
  at_barrier_.push_back({running_, threadIdx});
  ++suspended_;
  running_->suspend();
}

}  // namespace

void barrier() {
  if (current == nullptr) die("__syncthreads() outside a kernel");
  current->wait_at_barrier();
}

unsigned char* dynamic_shared() {
  if (current == nullptr) die("dynamic shared memory outside a kernel");
  return current->shared();
}

void copy_later(void* to, const void* from, std::size_t bytes) {
  if (current == nullptr) die("an asynchronous copy outside a kernel");
  current->copy_later(to, from, bytes, __builtin_return_address(0));
}

void do_copies() {
  if (current == nullptr) die("asynchronous copies are waited for outside a kernel");
  current->do_copies(__builtin_return_address(0));
}

std::string running_thread() {
  if (current == nullptr) return "";
  const auto text = [](uint3 at) {
    return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
  };
  const auto* const code = reinterpret_cast<const void*>(current->kernel().function);
  return "in block " + text(blockIdx) + ", thread " + text(threadIdx) + " of " + text(blockDim) + " of kernel " +
         place_of_code(code);
}

void run_grid(const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments) {
  note_run(kernel);
  Grid run(kernel, grid, block, shared_bytes, arguments);
  current = &run;
  run.run();
  current = nullptr;
}

}  // namespace stand_in
