// SPDX-License-Identifier: Apache-2.0
// Opens models for the pipeline, and frames as its jobs.
#include "engine/engine.h"

#include <stdexcept>

#include "core/cpu_features.h"
#include "engine/model_file.h"
#include "network/cpu/cpu_network.h"
#include "pipeline/pipeline.h"

namespace rmbg {
namespace {

constexpr int kMostSlots = 64;

void check(const EngineOptions& options) {
  if (options.slots < 1 || options.slots > kMostSlots)
    throw std::invalid_argument("slots is " + std::to_string(options.slots) + "; expected 1 to " +
                                std::to_string(kMostSlots));
  if (!options.stretch) return;
  const auto [low, high] = *options.stretch;
  if (!(low >= 0 && low < high && high <= 1))
    throw std::invalid_argument("stretch is " + std::to_string(low) + " to " + std::to_string(high) +
                                "; expected 0 <= low < high <= 1");
}

PipelineOptions pipeline_options(PipelineOptions recipe, const EngineOptions& options, int device) {
  recipe.device = device;
  if (options.stretch) {
    recipe.stretch = Stretch::kFixed;
    recipe.range = {options.stretch->first, options.stretch->second};
  }
  return recipe;
}

/// Sets the precision's name and reason. Throws UnavailableError, ModelError.
cpu::Precision choose_precision(EnginePrecision wanted, const ModelFile& model, const std::string& path,
                                EngineInfo& info) {
  const auto fp32 = [&](const char* reason) {
    info.precision = "fp32";
    info.reason = reason;
    return cpu::Precision::kFp32;
  };
  if (wanted == EnginePrecision::kFp32) return fp32("it was asked for");
  if (wanted == EnginePrecision::kAuto) {
    if (model.centres.empty()) return fp32("the file has no centres for bf16");
    if (!model.keeps_mattes) return fp32("bf16 changed the mattes too much when the model was exported");
    if (cpu_isa() != CpuIsa::kAmx) return fp32("bf16 was measured to be faster only with AMX");
  }
  if (!cpu_has_bf16())
    throw UnavailableError("this processor has no bfloat16 arithmetic (AVX512-BF16 or AMX); use fp32 or auto");
  if (model.centres.empty())
    throw ModelError(path + ": has no centres for bf16; export the model again with this rmbg-trt, or use fp32");
  info.precision = "bf16";
  info.reason = wanted == EnginePrecision::kAuto ? "the model keeps its mattes in it" : "it was asked for";
  return cpu::Precision::kBf16;
}

bool is_rgb(PixelFormat format) { return format == PixelFormat::kRgb8 || format == PixelFormat::kRgba8; }

/// The pipeline takes the result's colours to be in the frame's order.
void check_order(const PixelFormat frame, const PixelFormat other, const char* what) {
  if (channels(frame) == 1 || channels(other) == 1 || is_rgb(frame) == is_rgb(other)) return;
  throw std::invalid_argument(std::string("the frame is ") + (is_rgb(frame) ? "RGB" : "BGR") + " and the " + what +
                              (is_rgb(other) ? " RGB" : " BGR") + "; expected the same order of colours");
}

}  // namespace

struct Engine::State {
  EngineInfo info;
  std::unique_ptr<Pipeline> pipeline;

  void start(std::vector<std::shared_ptr<Network>> networks, const PipelineOptions& options) {
    info.slots = static_cast<int>(networks.size());
    pipeline = std::make_unique<Pipeline>(std::move(networks), options);
    const Size size = input_size(pipeline->spec());
    info.width = size.width;
    info.height = size.height;
  }
};

Engine::Engine(const std::string& path, const EngineOptions& options) : state_(std::make_unique<State>()) {
  check(options);
  const ModelFile file = read_model_file(path);
  const cpu::Precision precision = choose_precision(options.precision, file, path, state_->info);
  std::vector<std::shared_ptr<Network>> networks;
  try {
    const std::vector<float> none;
    const auto model = std::make_shared<const cpu::CpuModel>(file.graph, precision,
                                                             precision == cpu::Precision::kBf16 ? file.centres : none);
    for (int slot = 0; slot < options.slots; ++slot) networks.push_back(std::make_shared<cpu::CpuNetwork>(model));
  } catch (const std::invalid_argument& error) {  // of the graph or the centres: they are the file's
    throw ModelError(path + ": " + error.what());
  }
  state_->info.processor = cpu::isa();
  state_->start(std::move(networks), pipeline_options(file.recipe, options, -1));
}

Engine::Engine(std::vector<std::shared_ptr<Network>> networks, const EngineOptions& options, int device)
    : state_(std::make_unique<State>()) {
  check(options);
  state_->info.precision = "custom";
  state_->info.reason = "networks of the program's own";
  state_->start(std::move(networks), pipeline_options({}, options, device));
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::run(const ConstImageView& frame, const FrameOptions& options, const ImageView& result) {
  FrameJob job;
  job.frame = frame;
  job.result = result;
  job.options = options;
  if (options.nv12) job.nv12_color = is_rgb(result.format) ? PixelFormat::kRgb8 : PixelFormat::kBgr8;
  check_order(options.nv12 ? job.nv12_color : frame.format, result.format, "result");
  if (over_image(options)) check_order(frame_format(job), options.background.image.format, "background");
  state_->pipeline->run(job);
}

const EngineInfo& Engine::info() const { return state_->info; }

const char* version() { return RMBG_VERSION; }

}  // namespace rmbg
