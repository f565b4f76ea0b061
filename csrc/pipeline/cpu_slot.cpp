// SPDX-License-Identifier: Apache-2.0
// A frame on the CPU: preprocess, network, postprocess.
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "pipeline/frame_plan.h"
#include "pipeline/slot.h"
#include "postprocess/foreground_pixel.h"
#include "postprocess/refine.h"

namespace rmbg {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

const NetworkSpec& checked(const NetworkSpec& spec) {
  check_shapes(spec);
  if (spec.output.dtype != DataType::kFloat32)
    throw std::invalid_argument("the network's output is float16; expected float32 on the CPU");
  return spec;
}

/// Buffers only grow, so a slot that has seen its largest frame allocates nothing.
class CpuSlot : public Slot {
 public:
  CpuSlot(std::shared_ptr<Network> network, const PipelineOptions& options);

  StageTimes process(const FrameJob& job, TrackTurn& turn) override;
  std::vector<StageTimes> measure(int) override { return {}; }
  std::string mode() const override { return "cpu"; }

 private:
  ConstImageView colored(const FrameJob& job);
  void preprocess_frame(const FrameJob& job, const FramePlan& plan);
  MinMax update_track(const FrameJob& job, TrackTurn& turn);
  PostprocessWorkspace workspace_for(const FrameJob& job, const FramePlan& plan, const PostprocessOptions& options);
  void postprocess_frame(const FrameJob& job, const FramePlan& plan, MinMax range);

  std::shared_ptr<Network> network_;
  PipelineOptions options_;
  Stream stream_;
  FramePlanCache plans_;
  Buffer tensor_, prediction_;
  Buffer resample_between_, resized_;
  Buffer matte_, alpha_between_, alpha_rows_;
  Buffer temporal_scratch_;
  Buffer lines_, guided_scratch_;
  Buffer alpha_, front_rows_, block_means_, block_rows_, wide_means_, near_means_, grounds_, ground_places_,
      foreground_scratch_;
  Buffer blur_, blur_scratch_;
  Buffer color_;  // colours of an NV12 frame
};

CpuSlot::CpuSlot(std::shared_ptr<Network> network, const PipelineOptions& options)
    : network_(std::move(network)),
      options_(options),
      plans_(options.filter, input_size(checked(network_->spec())), output_size(network_->spec())),
      tensor_(network_->spec().input.bytes()),
      prediction_(network_->spec().output.bytes()) {
  const NetworkSpec& spec = network_->spec();
  network_->bind({tensor_.as<void>(), spec.input.shape, spec.input.dtype, -1, spec.input.layout},
                 {prediction_.as<void>(), spec.output.shape, spec.output.dtype});
}

StageTimes CpuSlot::process(const FrameJob& original, TrackTurn& turn) {
  const Clock::time_point begin = Clock::now();
  FrameJob job = original;
  if (job.options.nv12) job.frame = colored(original);
  const FramePlan& plan = plans_.get(job.frame.width, job.frame.height);
  preprocess_frame(job, plan);
  const Clock::time_point preprocessed = Clock::now();
  network_->enqueue(stream_);
  const Clock::time_point predicted = Clock::now();
  postprocess_frame(job, plan, update_track(job, turn));
  const Clock::time_point end = Clock::now();
  StageTimes times;
  times.preprocess_ms = milliseconds(begin, preprocessed);
  times.network_ms = milliseconds(preprocessed, predicted);
  times.postprocess_ms = milliseconds(predicted, end);
  times.total_ms = milliseconds(begin, end);
  return times;
}

/// Converts an NV12 frame to three colours.
ConstImageView CpuSlot::colored(const FrameJob& job) {
  const Size size = frame_size(job);
  color_.reserve(3 * size.area());
  const ImageView color{color_.as<std::uint8_t>(), size.width, size.height, static_cast<std::ptrdiff_t>(size.width) * 3,
                        job.nv12_color};
  nv12_to_color(job.frame, *job.options.nv12, color, stream_);
  return {color.data, color.width, color.height, color.pitch_bytes, color.format};
}

void CpuSlot::preprocess_frame(const FrameJob& job, const FramePlan& plan) {
  resample_between_.reserve(preprocess_between_bytes(plan.to_network, channels(job.frame.format)));
  resized_.reserve(3 * plan.to_network.out().area());
  const TensorSpec& input = network_->spec().input;
  const PreprocessWorkspace workspace{&plan.to_network, resample_between_.as<std::uint8_t>(),
                                      resized_.as<std::uint8_t>()};
  preprocess(job.frame, options_.normalization, workspace, {input.dtype, input.layout}, tensor_.as<void>(), stream_);
}

/// Waits for the frame's turn and updates the track. Returns the range of a fixed stretch.
MinMax CpuSlot::update_track(const FrameJob& job, TrackTurn& turn) {
  MinMax range = options_.range;
  if (!turn) return range;
  const Size size = output_size(network_->spec());
  const std::size_t guide_bytes = 3 * input_size(network_->spec()).area();
  temporal_scratch_.reserve(4 * size.area() * sizeof(float));
  turn.wait();
  const bool first = turn.begin({job.frame.width, job.frame.height}, size.area(), guide_bytes, MemoryKind::kHost);
  const TemporalFrame frame{prediction_.as<float>(), size, resized_.as<std::uint8_t>(),
                            static_cast<std::int64_t>(guide_bytes)};
  if (turn.track().stabilizes()) stabilize(frame, first, turn.state(), temporal_scratch_.as<float>(), stream_);
  if (turn.track().runs_stretch()) range = running_range(frame, first, turn.state());
  turn.pass();
  return range;
}

PostprocessWorkspace CpuSlot::workspace_for(const FrameJob& job, const FramePlan& plan,
                                            const PostprocessOptions& options) {
  const std::size_t workers = static_cast<std::size_t>(parallel_workers());
  const Size matte = plan.to_frame.in(), frame{job.frame.width, job.frame.height};
  matte_.reserve(matte.area());
  alpha_between_.reserve(plan.to_frame.between().area());
  alpha_rows_.reserve(static_cast<std::size_t>(frame.width) * workers);
  PostprocessWorkspace workspace{&plan.to_frame, matte_.as<std::uint8_t>(), alpha_between_.as<std::uint8_t>(),
                                 alpha_rows_.as<std::uint8_t>()};
  if (options.refine) {
    lines_.reserve(guided_lines_bytes(matte, frame.width));
    guided_scratch_.reserve(guided_scratch_bytes(matte) * workers);
    workspace.guide = resized_.as<std::uint8_t>();
    workspace.lines = lines_.as<void>();
    workspace.guided_scratch = guided_scratch_.as<std::uint8_t>();
  }
  if (over_blur(options)) {
    blur_.reserve(3 * frame.area());
    blur_scratch_.reserve((shows_foreground(options) ? 8 : 3) * frame.area());
    workspace.blurred = blur_.as<std::uint8_t>();
    workspace.blur_scratch = blur_scratch_.as<std::uint8_t>();
  }
  if (shows_foreground(options)) {
    const BlockGrid grid = block_grid(frame);
    alpha_.reserve(frame.area());
    front_rows_.reserve(static_cast<std::size_t>(row_bytes(frame.width, job.frame.format)) * workers);
    for (Buffer* means : {&block_means_, &block_rows_, &wide_means_, &near_means_})
      means->reserve(kBlockMeans * grid.area() * sizeof(std::uint32_t));
    grounds_.reserve(kGroundTerms * grid.area() * sizeof(float));
    ground_places_.reserve(GridPlaces::words(frame.width) * sizeof(std::uint32_t));
    foreground_scratch_.reserve(foreground_scratch_words(grid) * workers * sizeof(std::uint32_t));
    workspace.alpha = alpha_.as<std::uint8_t>();
    workspace.front_rows = front_rows_.as<std::uint8_t>();
    workspace.foreground = {block_means_.as<std::uint32_t>(),
                            block_rows_.as<std::uint32_t>(),
                            wide_means_.as<std::uint32_t>(),
                            near_means_.as<std::uint32_t>(),
                            grounds_.as<float>(),
                            ground_places_.as<std::uint32_t>(),
                            foreground_scratch_.as<std::uint32_t>()};
  }
  return workspace;
}

void CpuSlot::postprocess_frame(const FrameJob& job, const FramePlan& plan, MinMax range) {
  PostprocessOptions options{job.options};
  options.stretch = job.track != nullptr && job.track->runs_stretch() ? Stretch::kFixed : options_.stretch;
  options.range = range;
  postprocess(prediction_.as<float>(), job.frame, options, workspace_for(job, plan, options), job.result, stream_);
}

}  // namespace

std::unique_ptr<Slot> make_cpu_slot(std::shared_ptr<Network> network, const PipelineOptions& options) {
  return std::make_unique<CpuSlot>(std::move(network), options);
}

}  // namespace rmbg
