// SPDX-License-Identifier: Apache-2.0
// The pipeline: a few slots, each one frame in flight, shared by any number of threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/fork.h"
#include "pipeline/completion.h"
#include "pipeline/frame_job.h"
#include "pipeline/result_pool.h"
#include "pipeline/slot.h"

namespace rmbg {

/// A forked child may go on using it if all its networks survive a fork; otherwise it is closed there.
class Pipeline final : public ForkAware {
 public:
  /// One slot for each network. At least one; all with the same spec.
  Pipeline(std::vector<std::shared_ptr<Network>> networks, const PipelineOptions& options);
  ~Pipeline();

  const NetworkSpec& spec() const { return spec_; }
  int device() const { return options_.device; }
  /// Memory for results on the GPU; nullptr on the CPU. Throws Error (closed).
  std::shared_ptr<ResultPool> results() const;
  int slots() const { return slots_; }

  /// Waits for a free slot and runs a job on the calling thread. Thread-safe; allocates nothing once the slots have
  /// seen frames this large. Throws std::invalid_argument, NetworkError, Error (closed).
  void run(FrameJob job);

  /// Starts a job on a slot's own thread; waits only while all slots are busy. `owner`, which keeps the memory of the
  /// views alive, is released when the job has ended.
  std::shared_ptr<Completion> submit(FrameJob job, std::shared_ptr<void> owner);

  /// Times of the last frames, oldest first, at most kHistory.
  std::vector<StageTimes> recent_times() const;
  /// On a GPU: device times, on a free slot; see Slot::measure.
  std::vector<StageTimes> measure(int repeats);
  /// How the frames of each slot run; see Slot::mode.
  std::vector<std::string> modes() const;
  std::int64_t frames() const;

  /// Waits for the jobs in flight and frees the networks and all memory; afterwards run and submit throw Error. May be
  /// called again.
  void close();

 private:
  static constexpr std::size_t kHistory = 256;

  struct Lane;
  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;
  void check_open() const;
  void check_job(const FrameJob& job) const;
  Lane& acquire(FrameJob* job = nullptr);
  Lane* free_lane(const FrameJob* job);
  void release(Lane& lane);
  void process(Lane& lane, const FrameJob& job);
  void serve(Lane& lane);

  const std::uint64_t id_;  // unique in this process
  NetworkSpec spec_;
  const PipelineOptions options_;
  const int slots_;
  bool survives_fork_;
  std::shared_ptr<ResultPool> results_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;   // a lane is free, or closing
  std::condition_variable posted_;  // a lane has a job, or closing
  std::uint64_t uses_ = 0;
  std::vector<StageTimes> history_;
  std::int64_t frames_ = 0;
  std::vector<std::string> modes_;    // of the slots that close() freed
  const char* why_closed_ = nullptr;  // nullptr: it is open
};

}  // namespace rmbg
