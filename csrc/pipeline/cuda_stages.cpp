// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_stages.h"

#include <algorithm>

#include "pipeline/slot.h"
#include "postprocess/foreground.h"
#include "postprocess/postprocess_cuda.h"
#include "postprocess/refine.h"
#include "postprocess/stabilize.h"
#include "preprocess/nv12.h"

namespace rmbg {
CudaStages::CudaStages(const NetworkSpec& spec, const PipelineOptions& options, cudaStream_t stream)
    : spec_(spec),
      device_(options.device),
      stretch_(options.stretch),
      range_(options.range),
      tables_(options.normalization, spec.input.dtype, stream),
      tensor_(spec.input.bytes(), MemoryKind::kDevice),
      prediction_(spec.output.bytes(), MemoryKind::kDevice) {
  resized_.reserve(3 * input_size(spec).area());
  matte_.reserve(output_size(spec).area());
  partials_.reserve(std::max(resample_blocks_bound(input_size(spec)), kPartials * sizeof(MinMax)));
}

std::size_t CudaStages::guide_bytes() const { return 3 * input_size(spec_).area(); }

bool CudaStages::reserve(const FramePlan& plan, const GraphKey& key) {
  bool grown = between_.reserve(preprocess_device_between_bytes(plan.to_network, channels(key.format)));
  grown |= alpha_between_.reserve(postprocess_device_between_bytes(plan.to_frame));
  const Size frame{key.width, key.height}, matte = output_size(spec_);
  if (key.options.refine) grown |= lines_.reserve(refine_device_bytes(matte));
  if (key.options.refine || key.options.decontaminate) grown |= alpha_.reserve(alpha_plane_bytes(frame));
  if (key.options.decontaminate) {
    grown |= front_.reserve(front_image_bytes(frame, key.format));
    grown |= foreground_.reserve(foreground_device_bytes(frame));
  }
  if (key.stabilize) grown |= temporal_.reserve(stabilize_device_bytes(matte));
  if (key.options.blur_sigma > 0) {
    grown |= blur_.reserve(3 * frame.area());
    grown |= blur_scratch_.reserve((key.options.decontaminate ? 8 : 3) * frame.area());
  }
  return grown;
}

void CudaStages::put(Stage stage, CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  const auto copy = [&queue](const Copy& stretch) {
    if (stretch.bytes > 0) queue.copy(stretch);
  };
  switch (stage) {
    case Stage::kCopyIn:
      copy(task.copy_in);
      return copy(task.copy_background);
    case Stage::kPreprocess:
      return preprocess_frame(queue, plan, task);
    case Stage::kNetwork:
      return;
    case Stage::kCarryOver:
      return carry_over(queue, plan, task);
    case Stage::kPostprocess:
      return postprocess_frame(queue, plan, task);
    case Stage::kCopyOut:
      return copy(task.copy_out);
  }
}

void CudaStages::preprocess_frame(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  if (plan.key.options.nv12) nv12_to_color(queue, task.nv12, *plan.key.options.nv12, task.color);
  preprocess(queue, task.frame,
             {&plan.to_network, between_.as<std::uint8_t>(), resized_.as<std::uint8_t>(), partials_.as<std::uint8_t>(),
              &tables_},
             spec_.input.layout, tensor_.as<void>());
}

void CudaStages::carry_over(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  if (plan.key.stabilize)
    stabilize(queue, prediction_.as<void>(), spec_.output.dtype, output_size(spec_), resized_.as<std::uint8_t>(),
              static_cast<std::int64_t>(guide_bytes()), task.first, task.temporal, temporal_.as<void>());
  if (plan.key.running_stretch)
    running_range(queue, prediction_.as<void>(), spec_.output.dtype, output_size(spec_), task.first, task.temporal,
                  partials_.as<MinMax>());
}

void CudaStages::postprocess_frame(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  PostprocessOptions options{plan.key.options};
  options.background = task.background;
  options.stretch = stretch_;
  options.range = range_;
  PostprocessDeviceWorkspace workspace{&plan.to_frame, partials_.as<MinMax>(), matte_.as<std::uint8_t>(),
                                       alpha_between_.as<std::uint8_t>()};
  workspace.guide = resized_.as<std::uint8_t>();
  workspace.lines = lines_.as<float>();
  workspace.alpha = alpha_.as<std::uint8_t>();
  workspace.front = front_.as<std::uint8_t>();
  workspace.foreground = foreground_.as<void>();
  workspace.blurred = blur_.as<std::uint8_t>();
  workspace.blur_scratch = blur_scratch_.as<std::uint8_t>();
  workspace.ranged = plan.key.running_stretch;
  postprocess(queue, prediction_.as<void>(), spec_.output.dtype, task.frame, options, workspace, task.result);
}

}  // namespace rmbg
