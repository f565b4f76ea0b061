// SPDX-License-Identifier: Apache-2.0
// Assigns slots to frames. A lane is a slot with its state and, once something was submitted to it, its thread.
#include "pipeline/pipeline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/error.h"

namespace rmbg {
namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

std::string describe(const TensorSpec& tensor) {
  std::string text = "'" + tensor.name + "' (";
  for (int i = 0; i < 4; ++i) text += (i ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + ")";
}

Size size_of(const TensorSpec& tensor) {
  return {static_cast<int>(tensor.shape[3]), static_cast<int>(tensor.shape[2])};
}

}  // namespace

const NetworkSpec& check_shapes(const NetworkSpec& spec) {
  const auto& in = spec.input.shape;
  const auto& out = spec.output.shape;
  if (in[0] != 1 || in[1] != 3 || in[2] < 1 || in[3] < 1)
    throw std::invalid_argument("network input " + describe(spec.input) + "; expected (1, 3, height, width)");
  if (out[0] != 1 || out[1] != 1 || out[2] < 1 || out[3] < 1)
    throw std::invalid_argument("network output " + describe(spec.output) + "; expected (1, 1, height, width)");
  return spec;
}

Size input_size(const NetworkSpec& spec) { return size_of(spec.input); }
Size output_size(const NetworkSpec& spec) { return size_of(spec.output); }

bool Completion::wait(double seconds) const {
  std::unique_lock lock(mutex_);
  const auto done = [this] { return done_; };
  if (seconds < 0) {
    changed_.wait(lock, done);
    return true;
  }
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds), done);
}

void Completion::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

void Completion::finish(std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  error_ = std::move(error);
  done_ = true;
  changed_.notify_all();
}

struct Pipeline::Lane {
  explicit Lane(std::unique_ptr<Slot> lane_slot) : slot(std::move(lane_slot)) {}

  std::unique_ptr<Slot> slot;
  bool busy = false;
  StreamKey stream;            // of the last frame in GPU memory
  std::uint64_t last_use = 0;  // by such a frame
  bool has_job = false;
  FrameJob job;
  std::shared_ptr<Completion> completion;
  std::shared_ptr<void> owner;
  std::thread thread;
};

Pipeline::Pipeline(std::vector<std::shared_ptr<Network>> networks, const PipelineOptions& options) : id_(next_id()) {
  if (networks.empty()) throw std::invalid_argument("pipeline: at least one network is needed, one for each slot");
  spec_ = networks.front()->spec();
  device_ = options.device;
  if (device_ >= 0) results_ = make_result_pool(device_);
  for (auto& network : networks) {
    if (network->spec().input.shape != spec_.input.shape || network->spec().output.shape != spec_.output.shape)
      throw std::invalid_argument("pipeline: all networks must have the same shapes");
    lanes_.push_back(std::make_unique<Lane>(options.device < 0 ? make_cpu_slot(std::move(network), options)
                                                               : make_cuda_slot(std::move(network), options)));
  }
  history_.reserve(kHistory);
}

Pipeline::~Pipeline() { close(); }

void Pipeline::check_job(const FrameJob& job) const {
  check(job);
  const Size in = input_size(spec_), out = output_size(spec_);
  if (job.options.refine && (in.width != out.width || in.height != out.height))
    throw std::invalid_argument("refine needs a network whose output is as large as its input; this one maps " +
                                std::to_string(in.width) + "x" + std::to_string(in.height) + " to " +
                                std::to_string(out.width) + "x" + std::to_string(out.height) + "; leave refine out");
  if (job.track != nullptr) job.track->belong_to(id_);
}

/// Null when all are busy. A frame in GPU memory leaves its lane before its work is done, so each stream keeps to a
/// lane of its own and streams do not wait for each other. Other frames take the first free lane.
Pipeline::Lane* Pipeline::free_lane(const FrameJob* job) {
  const bool on_gpu = job != nullptr && job->memory == MemoryKind::kDevice;
  Lane* best = nullptr;
  for (const auto& owned : lanes_) {
    Lane* const lane = owned.get();
    if (lane->busy) continue;
    if (!on_gpu || (lane->last_use > 0 && lane->stream == stream_key(job->stream))) return lane;
    if (best == nullptr || lane->last_use < best->last_use) best = lane;
  }
  return best;
}

/// Waits for a free lane, and issues the job's place on its track together with it, so that no place waits for a lane.
Pipeline::Lane& Pipeline::acquire(FrameJob* job) {
  std::unique_lock lock(mutex_);
  Lane* free = nullptr;
  freed_.wait(lock, [&] { return closed_ || (free = free_lane(job)) != nullptr; });
  if (closed_) throw Error("the engine is closed; create a new one");
  free->busy = true;
  if (job != nullptr && job->memory == MemoryKind::kDevice) {
    free->stream = stream_key(job->stream);
    free->last_use = ++uses_;
  }
  if (job != nullptr && job->track != nullptr) job->place = job->track->issue();
  return *free;
}

void Pipeline::release(Lane& lane) {
  std::lock_guard lock(mutex_);
  lane.busy = false;
  freed_.notify_all();
}

void Pipeline::process(Lane& lane, const FrameJob& job) {
  TrackTurn turn(job.track, job.place);
  const StageTimes times = lane.slot->process(job, turn);
  std::lock_guard lock(mutex_);
  if (history_.size() < kHistory) {
    history_.push_back(times);
  } else {
    history_[static_cast<std::size_t>(frames_) % kHistory] = times;
  }
  ++frames_;
}

void Pipeline::run(FrameJob job) {
  check_job(job);
  Lane& lane = acquire(&job);
  try {
    process(lane, job);
  } catch (...) {
    release(lane);
    throw;
  }
  release(lane);
}

std::shared_ptr<Completion> Pipeline::submit(FrameJob job, std::shared_ptr<void> owner) {
  check_job(job);
  auto completion = std::make_shared<Completion>();
  Lane& lane = acquire(&job);
  try {
    if (!lane.thread.joinable()) lane.thread = std::thread([this, &lane] { serve(lane); });
  } catch (...) {  // the thread could not start: end the turn and free the lane here
    {
      const TrackTurn turn(job.track, job.place);
    }
    release(lane);
    throw;
  }
  std::lock_guard lock(mutex_);
  lane.job = job;
  lane.completion = completion;
  lane.owner = std::move(owner);
  lane.has_job = true;
  posted_.notify_all();
  return completion;
}

void Pipeline::serve(Lane& lane) {
  std::unique_lock lock(mutex_);
  for (;;) {
    posted_.wait(lock, [&] { return lane.has_job || (closed_ && !lane.busy); });  // busy: a job will follow
    if (!lane.has_job) return;
    const FrameJob job = lane.job;
    std::shared_ptr<Completion> completion = std::move(lane.completion);
    std::shared_ptr<void> owner = std::move(lane.owner);
    lane.has_job = false;
    lock.unlock();
    std::exception_ptr error;
    try {
      process(lane, job);
    } catch (...) {
      error = std::current_exception();
    }
    owner.reset();  // before the job counts as done: callers that waited find its memory released
    release(lane);
    completion->finish(std::move(error));
    completion.reset();
    lock.lock();
  }
}

std::vector<StageTimes> Pipeline::recent_times() const {
  std::lock_guard lock(mutex_);
  std::vector<StageTimes> times = history_;
  if (history_.size() == kHistory)
    std::rotate(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(frames_ % kHistory), times.end());
  return times;
}

std::vector<StageTimes> Pipeline::measure(int repeats) {
  Lane& lane = acquire();
  try {
    std::vector<StageTimes> times = lane.slot->measure(repeats);
    release(lane);
    return times;
  } catch (...) {
    release(lane);
    throw;
  }
}

std::vector<std::string> Pipeline::modes() const {
  std::vector<std::string> modes;
  for (const auto& lane : lanes_) modes.push_back(lane->slot->mode());
  return modes;
}

std::int64_t Pipeline::frames() const {
  std::lock_guard lock(mutex_);
  return frames_;
}

void Pipeline::close() {
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    freed_.notify_all();
    freed_.wait(
        lock, [&] { return std::none_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->busy; }); });
    posted_.notify_all();
  }
  for (auto& lane : lanes_)
    if (lane->thread.joinable()) lane->thread.join();
}

}  // namespace rmbg
