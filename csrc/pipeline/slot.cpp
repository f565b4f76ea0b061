// SPDX-License-Identifier: Apache-2.0
// The way of a frame: preprocess, network, postprocess, on one stream.
#include "pipeline/slot.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/launch.h"
#include "postprocess/blur.h"

namespace rmbg {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string describe(const TensorSpec& tensor) {
  std::string text = "'" + tensor.name + "' (";
  for (int i = 0; i < 4; ++i) text += (i ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + ")";
}

const NetworkSpec& checked(const NetworkSpec& spec) {
  const auto& in = spec.input.shape;
  const auto& out = spec.output.shape;
  if (in[0] != 1 || in[1] != 3 || in[2] < 1 || in[3] < 1)
    throw std::invalid_argument("network input " + describe(spec.input) + "; expected (1, 3, height, width)");
  if (out[0] != 1 || out[1] != 1 || out[2] < 1 || out[3] < 1)
    throw std::invalid_argument("network output " + describe(spec.output) + "; expected (1, 1, height, width)");
  if (spec.input.dtype != DataType::kFloat32 || spec.output.dtype != DataType::kFloat32)
    throw std::invalid_argument("network tensors must be float32 on the CPU");
  return spec;
}

Size size_of(const TensorSpec& tensor) {
  return {static_cast<int>(tensor.shape[3]), static_cast<int>(tensor.shape[2])};
}

std::size_t area(Size size) { return static_cast<std::size_t>(size.width) * size.height; }

}  // namespace

Slot::Slot(std::shared_ptr<Network> network, const PipelineOptions& options)
    : network_(std::move(network)),
      options_(options),
      plans_(options.filter, size_of(checked(network_->spec()).input), size_of(network_->spec().output)),
      tensor_(network_->spec().input.bytes()),
      prediction_(network_->spec().output.bytes()) {
  const NetworkSpec& spec = network_->spec();
  network_->bind({tensor_.as<void>(), spec.input.shape, spec.input.dtype},
                 {prediction_.as<void>(), spec.output.shape, spec.output.dtype});
}

StageTimes Slot::process(const FrameJob& job) {
  const FramePlan& plan = plans_.get(job.frame.width, job.frame.height);
  const Clock::time_point begin = Clock::now();
  preprocess_frame(job, plan);
  const Clock::time_point preprocessed = Clock::now();
  network_->enqueue(stream_);
  const Clock::time_point predicted = Clock::now();
  postprocess_frame(job, plan);
  const Clock::time_point end = Clock::now();
  return {milliseconds(begin, preprocessed), milliseconds(preprocessed, predicted), milliseconds(predicted, end)};
}

void Slot::preprocess_frame(const FrameJob& job, const FramePlan& plan) {
  resample_between_.reserve(preprocess_between_bytes(plan.to_network, channels(job.frame.format)));
  resized_.reserve(3 * area(plan.to_network.out()));
  const PreprocessWorkspace workspace{&plan.to_network, resample_between_.as<std::uint8_t>(),
                                      resized_.as<std::uint8_t>()};
  preprocess(job.frame, options_.normalization, workspace, tensor_.as<float>(), stream_);
}

void Slot::postprocess_frame(const FrameJob& job, const FramePlan& plan) {
  matte_.reserve(area(plan.to_frame.in()));
  alpha_between_.reserve(area(plan.to_frame.between()));
  alpha_rows_.reserve(static_cast<std::size_t>(job.frame.width) * parallel_workers());
  const PostprocessWorkspace workspace{&plan.to_frame, matte_.as<std::uint8_t>(), alpha_between_.as<std::uint8_t>(),
                                       alpha_rows_.as<std::uint8_t>()};
  const bool over_blur = job.output == Output::kComposite && job.blur_sigma > 0;
  const PostprocessOptions options{options_.stretch, job.output, job.premultiplied,
                                   over_blur ? blurred(job) : job.background};
  postprocess(prediction_.as<float>(), job.frame, options, workspace, job.result, stream_);
}

Background Slot::blurred(const FrameJob& job) {
  const std::size_t bytes = static_cast<std::size_t>(job.frame.width) * job.frame.height * 3;
  blur_.reserve(bytes);
  blur_scratch_.reserve(bytes);
  gaussian_blur(job.frame, job.blur_sigma, blur_.as<std::uint8_t>(), blur_scratch_.as<std::uint8_t>(), stream_);
  Background background;
  background.kind = BackgroundKind::kImage;
  background.image = {blur_.as<std::uint8_t>(), job.frame.width, job.frame.height,
                      static_cast<std::ptrdiff_t>(job.frame.width) * 3, PixelFormat::kBgr8};
  return background;
}

}  // namespace rmbg
