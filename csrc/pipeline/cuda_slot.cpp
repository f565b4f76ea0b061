// SPDX-License-Identifier: Apache-2.0
// The way of a frame on a GPU: copy in, preprocess, network, postprocess, copy out, on one stream. The first frame of a
// kind runs as plain launches, which warms up whatever is lazy; from the second on the whole way is one CUDA graph.
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include "core/cuda_context.h"
#include "core/cuda_pointer.h"
#include "core/cuda_stream.h"
#include "core/error.h"
#include "pipeline/cuda_frame.h"
#include "pipeline/cuda_stages.h"
#include "pipeline/cuda_staging.h"
#include "pipeline/slot.h"

namespace rmbg {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRecordings = 3;  // attempts to record the network before a slot goes without graphs

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
  std::string mode() const override;

 private:
  void check_memory(const FrameJob& job) const;
  CudaFramePlan& prepare(const FrameJob& job, CudaTask& task);
  void wait_for_callers();
  cudaStream_t stream_of(const FrameJob& job) const;
  void take_turn(const FrameJob& job, CudaTask& task, TrackTurn& turn);
  void leave_turn(const FrameJob& job, TrackTurn& turn);
  void run(CudaFramePlan& plan, const CudaTask& task, const FrameJob& job);
  void change_graph(CudaFramePlan& plan, const CudaTask& task);
  void run_eagerly(const CudaFramePlan& plan, const CudaTask& task, cudaStream_t stream);
  void try_to_record(CudaFramePlan& plan, const CudaTask& task);
  cudaGraph_t network_graph();
  TemporalState rehearsed_state();
  void give_up(CudaFramePlan* plan) noexcept;
  void set_mode(std::string mode);

  DeviceScope scope_;  // current while the members below are made
  std::shared_ptr<Network> network_;
  PipelineOptions options_;
  CudaStream stream_;
  CudaEvent ready_, done_;  // of a caller's stream: what was put on it so far; of ours: the last frame's work
  std::optional<cudaStream_t> busy_on_;  // a caller's stream that may still be working on the last frame
  FramePlanCache host_plans_;
  CudaFramePlanCache plans_;
  CudaStaging staging_;
  CudaStages stages_;
  Buffer rehearsed_state_{MemoryKind::kDevice};
  CudaGraph recorded_{nullptr};  // the network's work, unless it has a graph of its own
  int failed_recordings_ = 0;
  mutable std::mutex mode_mutex_;
  std::string mode_ = "graph";
};

CudaSlot::CudaSlot(std::shared_ptr<Network> network, const PipelineOptions& options)
    : scope_(options.device),
      network_(std::move(network)),
      options_(options),
      host_plans_(options.filter, input_size(check_shapes(network_->spec())), output_size(network_->spec())),
      stages_(network_->spec(), options, stream_.get()) {
  if (!network_->capturable()) mode_ = "eager: the network cannot be recorded into a graph";
  network_->bind(stages_.tensor(), stages_.prediction());
  scope_.leave();
}

CudaSlot::~CudaSlot() {
  try {
    scope_.enter();
  } catch (const CudaError&) {  // the driver is gone: so is all that would be freed
  }
  cudaStreamSynchronize(stream_.get());
  if (busy_on_) cudaEventSynchronize(done_.get());
  cudaGetLastError();
}

StageTimes CudaSlot::process(const FrameJob& job, TrackTurn& turn) {
  const Clock::time_point begin = Clock::now();
  check_context(options_.device);
  const DeviceScope scope(options_.device);
  check_memory(job);
  CudaFramePlan* plan = nullptr;
  try {
    CudaTask task;
    plan = &prepare(job, task);
    take_turn(job, task, turn);
    run(*plan, task, job);
    leave_turn(job, turn);
    if (job.memory != MemoryKind::kDevice) {
      stream_.synchronize();
      staging_.deliver(job, task);
    }
  } catch (...) {
    give_up(plan);
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
  if (job.background_memory == MemoryKind::kDevice && job.background.kind == BackgroundKind::kImage)
    check_view_on_device(job.background.image, options_.device, "background");
}

/// Lays the frame out, makes room for everything it needs, and finds what is kept for its kind.
CudaFramePlan& CudaSlot::prepare(const FrameJob& job, CudaTask& task) {
  // The frame before may still be reading the pinned memory that this one's background will be put into.
  if (job.output == Output::kComposite && job.background_memory == MemoryKind::kHost &&
      job.background.kind == BackgroundKind::kImage)
    wait_for_callers();
  bool grown = false;
  task = staging_.stage(job, grown);
  const FrameKind kind = kind_of(job, task);
  CudaFramePlan* plan = plans_.find(kind);
  const FramePlan* host = nullptr;
  if (plan == nullptr) {
    host = &host_plans_.get(kind.width, kind.height);
    grown |= stages_.reserve(*host, kind);
  }
  if (grown || plan == nullptr) wait_for_callers();  // what is replaced may still be in use
  if (grown) plans_.forget_graphs();                 // they know the old addresses
  return plan != nullptr ? *plan : plans_.make(kind, *host, stream_.get());
}

/// Waits for the last frame if it was left running on a caller's stream.
void CudaSlot::wait_for_callers() {
  if (busy_on_) check(cudaEventSynchronize(done_.get()), "waiting for the frame before");
  busy_on_.reset();
}

cudaStream_t CudaSlot::stream_of(const FrameJob& job) const {
  return job.memory == MemoryKind::kDevice ? cuda_stream(job.stream) : stream_.get();
}

/// Frames of a track are put on the GPU in their order, each behind all of the work of the one before.
void CudaSlot::take_turn(const FrameJob& job, CudaTask& task, TrackTurn& turn) {
  if (!turn) return;
  const TensorView prediction = stages_.prediction();
  turn.wait();
  task.first = turn.begin(frame_size(job), static_cast<std::size_t>(prediction.shape[2] * prediction.shape[3]),
                          stages_.guide_bytes(), MemoryKind::kDevice);
  task.temporal = turn.state();
  if (!turn.last_work()) turn.last_work() = std::make_shared<CudaEvent>();
  static_cast<const CudaEvent*>(turn.last_work().get())->hold_back(stream_of(job));
}

void CudaSlot::leave_turn(const FrameJob& job, TrackTurn& turn) {
  if (!turn) return;
  static_cast<CudaEvent*>(turn.last_work().get())->record(stream_of(job));
  turn.pass();
}

void CudaSlot::run(CudaFramePlan& plan, const CudaTask& task, const FrameJob& job) {
  const bool callers = job.memory == MemoryKind::kDevice;
  const cudaStream_t stream = stream_of(job);
  if (busy_on_) done_.hold_back(stream);
  if (plan.frames++ > 0 && !plan.graph) try_to_record(plan, task);
  if (plan.graph) change_graph(plan, task);
  if (plan.graph) {
    plan.graph.launch(stream);
  } else {
    run_eagerly(plan, task, stream);
  }
  if (callers) {
    done_.record(stream);
    busy_on_ = stream;
  } else {
    busy_on_.reset();
  }
}

/// Puts this frame's addresses into the graph. What a graph cannot take (memory of another kind, say) is no failure of
/// the frame: the graph is dropped, and made anew with the next one.
void CudaSlot::change_graph(CudaFramePlan& plan, const CudaTask& task) {
  try {
    CudaQueue queue(plan.graph, plan.nodes);
    stages_.copy_in(queue, task);
    stages_.preprocess_frame(queue, plan, task);
    stages_.carry_over(queue, plan, task);
    stages_.postprocess_frame(queue, plan, task);
    stages_.copy_out(queue, task);
  } catch (const CudaError&) {
    if (busy_on_) check(cudaEventSynchronize(done_.get()), "waiting for the frame before");
    plan.forget_graph();
  }
}

/// Plain launches on our own stream, which networks prefer to a default stream, in the order of `stream`.
void CudaSlot::run_eagerly(const CudaFramePlan& plan, const CudaTask& task, cudaStream_t stream) {
  const bool elsewhere = stream != stream_.get();
  if (elsewhere) {
    ready_.record(stream);
    ready_.hold_back(stream_.get());
  }
  CudaQueue queue(stream_.get());
  stages_.copy_in(queue, task);
  stages_.preprocess_frame(queue, plan, task);
  network_->enqueue(stream_.view());
  stages_.carry_over(queue, plan, task);
  stages_.postprocess_frame(queue, plan, task);
  stages_.copy_out(queue, task);
  if (elsewhere) {
    ready_.record(stream_.get());
    ready_.hold_back(stream);
  }
}

void CudaSlot::try_to_record(CudaFramePlan& plan, const CudaTask& task) {
  if (!network_->capturable() || failed_recordings_ == kRecordings) return;
  try {
    const cudaGraph_t network = network_graph();
    CudaGraph graph;
    std::vector<RecordedNode> nodes;
    CudaQueue queue(graph, nodes);
    stages_.copy_in(queue, task);
    stages_.preprocess_frame(queue, plan, task);
    graph.add_child(network);
    stages_.carry_over(queue, plan, task);
    stages_.postprocess_frame(queue, plan, task);
    stages_.copy_out(queue, task);
    plan.graph = CudaGraphExec(std::move(graph));
    plan.nodes = std::move(nodes);
  } catch (const Error& error) {
    recorded_ = CudaGraph(nullptr);
    if (++failed_recordings_ == kRecordings) set_mode(std::string("eager: ") + error.what());
  }
}

cudaGraph_t CudaSlot::network_graph() {
  if (void* own = network_->graph()) return static_cast<cudaGraph_t>(own);
  if (recorded_.get() == nullptr) recorded_ = record(stream_.get(), [&] { network_->enqueue(stream_.view()); });
  return recorded_.get();
}

/// After a failure: nothing of this frame is left on the stream, and its graph is not trusted any more.
void CudaSlot::give_up(CudaFramePlan* plan) noexcept {
  cudaStreamSynchronize(stream_.get());
  if (busy_on_) cudaStreamSynchronize(*busy_on_);
  cudaGetLastError();
  if (plan != nullptr) plan->forget_graph();
}

/// Memory in the place of a track's.
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
  CudaFramePlan* const plan = plans_.latest();
  if (plan == nullptr || !network_->capturable()) return {};
  bool grown = false;
  CudaTask task = staging_.rehearse(plan->kind, grown);
  task.temporal = rehearsed_state();
  task.first = false;
  wait_for_callers();
  if (grown) plans_.forget_graphs();

  std::vector<CudaEvent> events;
  for (int i = 0; i < 6; ++i) events.emplace_back(/*timing=*/true);
  CudaGraph graph;
  std::vector<RecordedNode> nodes;
  CudaQueue queue(graph, nodes);
  graph.add_record(events[0].get());
  stages_.copy_in(queue, task);
  graph.add_record(events[1].get());
  stages_.preprocess_frame(queue, *plan, task);
  graph.add_record(events[2].get());
  graph.add_child(network_graph());
  graph.add_record(events[3].get());
  stages_.carry_over(queue, *plan, task);
  stages_.postprocess_frame(queue, *plan, task);
  graph.add_record(events[4].get());
  stages_.copy_out(queue, task);
  graph.add_record(events[5].get());
  const CudaGraphExec exec(std::move(graph));

  std::vector<StageTimes> times;
  for (int i = 0; i < repeats; ++i) {
    exec.launch(stream_.get());
    stream_.synchronize();
    const auto between = [&](int from, int to) {
      float ms = 0;
      check(cudaEventElapsedTime(&ms, events[from].get(), events[to].get()), "reading the times of a frame");
      return static_cast<double>(ms);
    };
    times.push_back({between(1, 2), between(2, 3), between(3, 4), between(0, 5), between(0, 1), between(4, 5)});
  }
  return times;
}

std::string CudaSlot::mode() const {
  const std::lock_guard lock(mode_mutex_);
  return mode_;
}

void CudaSlot::set_mode(std::string mode) {
  const std::lock_guard lock(mode_mutex_);
  mode_ = std::move(mode);
}

}  // namespace

std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network> network, const PipelineOptions& options) {
  return std::make_unique<CudaSlot>(std::move(network), options);
}

}  // namespace rmbg
