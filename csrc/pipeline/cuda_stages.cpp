// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_stages.h"

#include <algorithm>

#include "pipeline/slot.h"
#include "postprocess/foreground_cuda.h"
#include "postprocess/postprocess_cuda.h"
#include "postprocess/refine_cuda.h"
#include "postprocess/stabilize_cuda.h"
#include "preprocess/nv12_cuda.h"

namespace rmbg {
namespace {

std::size_t area(Size size) { return static_cast<std::size_t>(size.width) * size.height; }

}  // namespace

CudaStages::CudaStages(const NetworkSpec& spec, const PipelineOptions& options, cudaStream_t stream)
    : spec_(spec),
      device_(options.device),
      stretch_(options.stretch),
      range_(options.range),
      tables_(options.normalization, spec.input.dtype, stream),
      tensor_(spec.input.bytes(), MemoryKind::kDevice),
      prediction_(spec.output.bytes(), MemoryKind::kDevice) {
  resized_.reserve(3 * area(input_size(spec)));
  matte_.reserve(area(output_size(spec)));
  partials_.reserve(std::max(resample_blocks_bound(input_size(spec)), kPartials * sizeof(MinMax)));
}

std::size_t CudaStages::guide_bytes() const { return 3 * area(input_size(spec_)); }

bool CudaStages::reserve(const FramePlan& plan, const FrameKind& kind) {
  bool grown = between_.reserve(preprocess_device_between_bytes(plan.to_network, channels(kind.format)));
  grown |= alpha_between_.reserve(postprocess_device_between_bytes(plan.to_frame));
  const Size frame{kind.width, kind.height}, matte = output_size(spec_);
  if (kind.refine) grown |= lines_.reserve(refine_device_bytes(matte));
  if (kind.refine || kind.decontaminate) grown |= alpha_.reserve(alpha_plane_bytes(frame));
  if (kind.decontaminate) {
    grown |= front_.reserve(front_picture_bytes(frame, kind.format));
    grown |= foreground_.reserve(foreground_device_bytes(frame));
  }
  if (kind.stabilize) grown |= temporal_.reserve(stabilize_device_bytes(matte));
  if (kind.blur_sigma > 0) {
    grown |= blur_.reserve(3 * area(frame));
    grown |= blur_scratch_.reserve((kind.decontaminate ? 8 : 3) * area(frame));
  }
  return grown;
}

void CudaStages::put(Stage stage, CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  const auto copy = [&queue](const Copy& asked) {
    if (asked.bytes > 0) queue.copy(asked);
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
  if (plan.kind.yuv) nv12_to_color(queue, task.nv12, *plan.kind.yuv, task.color);
  preprocess(queue, task.frame,
             {&plan.to_network, between_.as<std::uint8_t>(), resized_.as<std::uint8_t>(), partials_.as<std::uint8_t>(),
              &tables_},
             tensor_.as<void>());
}

void CudaStages::carry_over(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  if (plan.kind.stabilize)
    stabilize(queue, prediction_.as<void>(), spec_.output.dtype, output_size(spec_), resized_.as<std::uint8_t>(),
              static_cast<std::int64_t>(guide_bytes()), task.first, task.temporal, temporal_.as<void>());
  if (plan.kind.running_stretch)
    running_range(queue, prediction_.as<void>(), spec_.output.dtype, output_size(spec_), task.first, task.temporal,
                  partials_.as<MinMax>());
}

void CudaStages::postprocess_frame(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
  PostprocessOptions options;
  options.stretch = stretch_;
  options.range = range_;
  options.refine = plan.kind.refine;
  options.decontaminate = plan.kind.decontaminate;
  options.output = plan.kind.output;
  options.premultiplied = plan.kind.premultiplied;
  options.background = task.background;
  options.blur_sigma = plan.kind.blur_sigma;
  PostprocessDeviceWorkspace workspace{&plan.to_frame, partials_.as<MinMax>(), matte_.as<std::uint8_t>(),
                                       alpha_between_.as<std::uint8_t>()};
  workspace.guide = resized_.as<std::uint8_t>();
  workspace.lines = lines_.as<float>();
  workspace.alpha = alpha_.as<std::uint8_t>();
  workspace.front = front_.as<std::uint8_t>();
  workspace.foreground = foreground_.as<void>();
  workspace.blurred = blur_.as<std::uint8_t>();
  workspace.blur_scratch = blur_scratch_.as<std::uint8_t>();
  workspace.ranged = plan.kind.running_stretch;
  postprocess(queue, prediction_.as<void>(), spec_.output.dtype, task.frame, options, workspace, task.result);
}

}  // namespace rmbg
