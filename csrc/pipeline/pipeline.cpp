// SPDX-License-Identifier: Apache-2.0
// Assigns slots to frames. A lane is a slot with its state and, once something was submitted to it, its thread.
#include "pipeline/pipeline.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/thread_pool.h"

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

constexpr const char* kClosed = "the engine is closed; create a new one";
constexpr const char* kForked =
    "this engine was created before the process was forked, and neither a GPU nor OpenVINO works on both sides of a "
    "fork; create engines only in the children (in a worker's initializer), start them with multiprocessing's method "
    "'spawn', or use runtime='native'";

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

struct Pipeline::Lane {
  Lane(std::shared_ptr<Network> lane_network, const PipelineOptions& options)
      : network(std::move(lane_network)),
        slot(options.device < 0 ? make_cpu_slot(network, options) : make_cuda_slot(network, options)) {}

  std::shared_ptr<Network> network;
  std::unique_ptr<Slot> slot;
  bool busy = false;
  StreamKey stream;            // of the last frame in GPU memory
  std::uint64_t last_use = 0;  // by such a frame
  bool has_job = false;
  FrameJob job;
  std::shared_ptr<Completion> completion;
  std::shared_ptr<void> owner;
  std::unique_ptr<std::thread> thread;
};

Pipeline::Pipeline(std::vector<std::shared_ptr<Network>> networks, const PipelineOptions& options)
    : id_(next_id()), options_(options), slots_(static_cast<int>(networks.size())), survives_fork_(options.device < 0) {
  if (networks.empty()) throw std::invalid_argument("pipeline: at least one network is needed, one for each slot");
  static_cast<void>(ThreadPool::instance());  // a wrong RMBG_NUM_THREADS fails here, not with every frame
  spec_ = networks.front()->spec();
  if (options.device >= 0) results_ = make_result_pool(options.device);
  for (auto& network : networks) {
    if (network->spec().input.shape != spec_.input.shape || network->spec().output.shape != spec_.output.shape)
      throw std::invalid_argument("pipeline: all networks must have the same shapes");
    survives_fork_ &= network->survives_fork();
    lanes_.push_back(std::make_unique<Lane>(std::move(network), options));
  }
  history_.reserve(kHistory);
  watch_forks();
}

Pipeline::~Pipeline() {
  ignore_forks();
  close();
}

/// What belongs to the parent is leaked, because destroying it would touch threads and a GPU that the child does not
/// have. A lane that was busy is replaced: its slot may be halfway through a frame.
void Pipeline::after_fork_in_child() {
  renew(mutex_);
  renew(freed_);
  renew(posted_);
  if (!survives_fork_ && why_closed_ == nullptr) {
    why_closed_ = kForked;
    for (auto& lane : lanes_) static_cast<void>(lane.release());
    lanes_.clear();
    static_cast<void>(new std::shared_ptr<ResultPool>(std::move(results_)));
  }
  for (auto& lane : lanes_) {
    static_cast<void>(lane->thread.release());
    if (!lane->busy) continue;
    const std::shared_ptr<Network> network = lane->network;
    static_cast<void>(lane.release());
    lane = std::make_unique<Lane>(network, options_);
  }
}

/// Call it with the lock.
void Pipeline::check_open() const {
  if (why_closed_ != nullptr) throw Error(why_closed_);
}

std::shared_ptr<ResultPool> Pipeline::results() const {
  const std::lock_guard lock(mutex_);
  check_open();
  return results_;
}

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
  freed_.wait(lock, [&] { return why_closed_ != nullptr || (free = free_lane(job)) != nullptr; });
  check_open();
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
    if (lane.thread == nullptr) lane.thread = std::make_unique<std::thread>([this, &lane] { serve(lane); });
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
    // A busy lane without a job will get it.
    posted_.wait(lock, [&] { return lane.has_job || (why_closed_ != nullptr && !lane.busy); });
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
  const std::lock_guard lock(mutex_);
  std::vector<std::string> modes = modes_;
  for (const auto& lane : lanes_) modes.push_back(lane->slot->mode());
  return modes;
}

std::int64_t Pipeline::frames() const {
  std::lock_guard lock(mutex_);
  return frames_;
}

void Pipeline::close() {
  std::vector<std::unique_ptr<Lane>> lanes;
  std::shared_ptr<ResultPool> results;
  {
    std::unique_lock lock(mutex_);
    if (why_closed_ == nullptr) why_closed_ = kClosed;
    freed_.notify_all();
    freed_.wait(
        lock, [&] { return std::none_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->busy; }); });
    for (const auto& lane : lanes_) modes_.push_back(lane->slot->mode());
    lanes.swap(lanes_);
    results.swap(results_);
    posted_.notify_all();
  }
  for (auto& lane : lanes)
    if (lane->thread != nullptr) lane->thread->join();
  if (lanes.empty()) return;
  lanes.clear();
  trim_heap();
}

}  // namespace rmbg
