// SPDX-License-Identifier: Apache-2.0
// A frame on a GPU: copy in, preprocess, network, postprocess, copy out, on one stream. The first frame of a key runs
// as plain launches, and the network's graph is recorded after its first run. From then on a frame is three graph
// launches: before the network, the network, and after it. A frame of a track also updates the track, after the
// network, with a few plain launches. Only these wait for the previous frame.
#include <chrono>
#include <utility>

#include "core/cuda_check.h"
#include "core/cuda_context.h"
#include "core/cuda_pointer.h"
#include "core/cuda_stream.h"
#include "pipeline/cuda_frame.h"
#include "pipeline/cuda_recorder.h"
#include "pipeline/cuda_stages.h"
#include "pipeline/cuda_staging.h"
#include "pipeline/slot.h"

namespace rmbg {
namespace {

using Clock = std::chrono::steady_clock;

template <typename View>
void check_view_on_device(const View& view, int device, const char* what) {
  check_on_device(view.data, extent_bytes(view), device, what);
}

class CudaSlot : public Slot {
 public:
  CudaSlot(std::shared_ptr<Network> network, const PipelineOptions& options);
  ~CudaSlot() override;

  StageTimes process(const FrameJob& job, TrackTurn& turn) override;
  std::vector<StageTimes> measure(int repeats) override;
  std::string mode() const override { return recorder_.mode(); }

 private:
  void check_memory(const FrameJob& job) const;
  CudaFramePlan& prepare(const FrameJob& job, CudaTask& task);
  void wait_for_callers();
  cudaStream_t stream_of(const FrameJob& job) const;
  void run(CudaFramePlan& plan, CudaTask& task, const FrameJob& job, TrackTurn& turn);
  void run_on(cudaStream_t stream, const CudaFramePlan& plan, CudaTask& task, TrackTurn& turn);
  void update_track(const CudaFramePlan& plan, CudaTask& task, TrackTurn& turn, cudaStream_t stream);
  TemporalState rehearsed_state();
  void give_up(CudaFramePlan* plan, const FrameJob& job) noexcept;

  DeviceScope scope_;  // current while the members below are made
  std::shared_ptr<Network> network_;
  PipelineOptions options_;
  CudaStream stream_;
  CudaEvent ready_, done_;     // the caller's work so far; the end of the last frame
  bool left_running_ = false;  // the last frame may still run, on a caller's stream, until done_
  FramePlanCache host_plans_;
  CudaFramePlanCache plans_;
  CudaStaging staging_;
  CudaStages stages_;
  Buffer rehearsed_state_{MemoryKind::kDevice};
  CudaRecorder recorder_;
};

CudaSlot::CudaSlot(std::shared_ptr<Network> network, const PipelineOptions& options)
    : scope_(options.device),
      network_(std::move(network)),
      options_(options),
      host_plans_(options.filter, input_size(check_shapes(network_->spec())), output_size(network_->spec())),
      stages_(network_->spec(), options, stream_.get()),
      recorder_(network_, stages_, stream_.get()) {
  network_->bind(stages_.tensor(), stages_.prediction());
  scope_.leave();
}

CudaSlot::~CudaSlot() {
  try {
    scope_.enter();
  } catch (const CudaError&) {  // the driver is gone, and all that would be freed with it
  }
  const CaptureModeScope relaxed;
  cudaStreamSynchronize(stream_.get());
  if (left_running_) cudaEventSynchronize(done_.get());
  cudaGetLastError();
}

StageTimes CudaSlot::process(const FrameJob& job, TrackTurn& turn) {
  const Clock::time_point begin = Clock::now();
  check_context(options_.device);
  const DeviceScope scope(options_.device);
  const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
  check_memory(job);
  CudaFramePlan* plan = nullptr;
  try {
    CudaTask task;
    plan = &prepare(job, task);
    run(*plan, task, job, turn);
    if (job.memory != MemoryKind::kDevice) {
      stream_.synchronize();
      staging_.deliver(job, task);
    }
  } catch (...) {
    give_up(plan, job);
    throw;
  }
  StageTimes times;
  times.total_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  return times;
}

void CudaSlot::check_memory(const FrameJob& job) const {
  if (job.memory == MemoryKind::kDevice) {
    check_view_on_device(job.frame, options_.device, "frame");
    check_view_on_device(job.result, options_.device, "result");
  }
  const Background& background = job.options.background;
  if (job.background_memory == MemoryKind::kDevice && background.kind == BackgroundKind::kImage)
    check_view_on_device(background.image, options_.device, "background");
}

/// Places the frame, reserves memory for everything it needs, and finds the plan of its key.
CudaFramePlan& CudaSlot::prepare(const FrameJob& job, CudaTask& task) {
  // The previous frame may still read the pinned memory that this one's background goes to.
  if (job.options.output == Output::kComposite && job.background_memory == MemoryKind::kHost &&
      job.options.background.kind == BackgroundKind::kImage)
    wait_for_callers();
  bool grown = false;
  task = staging_.stage(job, grown);
  const GraphKey key = graph_key(job, task);
  CudaFramePlan* plan = plans_.find(key);
  const FramePlan* host = nullptr;
  if (plan == nullptr) {
    host = &host_plans_.get(key.width, key.height);
    grown |= stages_.reserve(*host, key);
  }
  // Freeing memory waits for its users, but tables and graphs that are replaced may still be in use.
  if (grown || plan == nullptr) wait_for_callers();
  if (grown) plans_.forget_graphs();  // they know the old addresses
  return plan != nullptr ? *plan : plans_.make(key, *host, stream_.get());
}

/// Waits for the last frame if it was left running on a caller's stream.
void CudaSlot::wait_for_callers() {
  if (left_running_) check(cudaEventSynchronize(done_.get()), "waiting for the previous frame");
  left_running_ = false;
}

cudaStream_t CudaSlot::stream_of(const FrameJob& job) const {
  return job.memory == MemoryKind::kDevice ? cuda_stream(job.stream) : stream_.get();
}

void CudaSlot::run(CudaFramePlan& plan, CudaTask& task, const FrameJob& job, TrackTurn& turn) {
  const cudaStream_t stream = stream_of(job);
  if (left_running_) done_.make_wait(stream);
  const bool known = plan.frames++ > 0;
  if (!plan.graphs.empty() && !recorder_.change(plan, task)) {  // not an error: they are recorded again later
    wait_for_callers();
    plan.graphs.clear();
  } else if (plan.graphs.empty() && known) {
    recorder_.record(plan, task);
  }
  // Plain launches go on our own stream, which networks prefer to a default stream, ordered with the caller's.
  const bool graphs = !plan.graphs.empty() && recorder_.has_network_graph();
  const bool elsewhere = !graphs && stream != stream_.get();
  if (elsewhere) {
    ready_.record(stream);
    ready_.make_wait(stream_.get());
  }
  run_on(elsewhere ? stream_.get() : stream, plan, task, turn);
  if (elsewhere) {
    ready_.record(stream_.get());
    ready_.make_wait(stream);
  }
  left_running_ = job.memory == MemoryKind::kDevice;
  if (left_running_) done_.record(stream);
}

void CudaSlot::run_on(cudaStream_t stream, const CudaFramePlan& plan, CudaTask& task, TrackTurn& turn) {
  CudaQueue queue(stream);
  const auto run = [&](std::size_t part) {
    if (plan.graphs.empty()) {
      stages_.put(kFrameGraphs[part], queue, plan, task);
    } else {
      plan.graphs[part].exec.launch(stream);
    }
  };
  run(0);
  recorder_.run_network(stream);
  update_track(plan, task, turn, stream);
  run(1);
}

/// Frames of a track carry over in order, even on different streams: each waits for the previous one. These launches
/// are in no graph, because the state is known only when it is the frame's turn.
void CudaSlot::update_track(const CudaFramePlan& plan, CudaTask& task, TrackTurn& turn, cudaStream_t stream) {
  if (!turn) return;
  const TensorView prediction = stages_.prediction();
  turn.wait();
  task.first =
      turn.begin({plan.key.width, plan.key.height}, static_cast<std::size_t>(prediction.shape[2] * prediction.shape[3]),
                 stages_.guide_bytes(), MemoryKind::kDevice);
  task.temporal = turn.state();
  if (!turn.last_work()) turn.last_work() = std::make_shared<CudaEvent>();
  auto* const carried = static_cast<CudaEvent*>(turn.last_work().get());
  carried->make_wait(stream);
  CudaQueue queue(stream);
  stages_.put(Stage::kCarryOver, queue, plan, task);
  carried->record(stream);
  turn.pass();
}

/// After a failure: waits until nothing of this frame is left on a stream, and drops its graphs.
void CudaSlot::give_up(CudaFramePlan* plan, const FrameJob& job) noexcept {
  cudaStreamSynchronize(stream_.get());
  cudaStreamSynchronize(stream_of(job));
  if (left_running_) cudaEventSynchronize(done_.get());
  cudaGetLastError();
  if (plan != nullptr) {
    plan->graphs.clear();
  } else {
    plans_.clear();  // a growing buffer may be gone, and known keys would not reserve it again
  }
  recorder_.forget_network();
}

/// Memory that stands in for a track's.
TemporalState CudaSlot::rehearsed_state() {
  const TensorView prediction = stages_.prediction();
  const auto floats = static_cast<std::size_t>(prediction.shape[2] * prediction.shape[3]);
  rehearsed_state_.reserve(sizeof(MinMax) + floats * sizeof(float) + stages_.guide_bytes());
  check(cudaMemsetAsync(rehearsed_state_.as<void>(), 0, rehearsed_state_.capacity(), stream_.get()),
        "clearing GPU memory");
  auto* const range = rehearsed_state_.as<MinMax>();
  auto* const matte = reinterpret_cast<float*>(range + 1);
  return {matte, reinterpret_cast<std::uint8_t*>(matte + floats), range};
}

std::vector<StageTimes> CudaSlot::measure(int repeats) {
  const DeviceScope scope(options_.device);
  const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
  CudaFramePlan* const plan = plans_.latest();
  if (plan == nullptr || !network_->capturable()) return {};
  wait_for_callers();
  bool grown = false;
  CudaTask task = staging_.rehearse(plan->key, stream_.get(), grown);
  if (grown) plans_.forget_graphs();
  task.temporal = rehearsed_state();
  return recorder_.measure(*plan, task, repeats);
}

}  // namespace

std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network> network, const PipelineOptions& options) {
  return std::make_unique<CudaSlot>(std::move(network), options);
}

}  // namespace rmbg
