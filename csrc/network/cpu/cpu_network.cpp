// SPDX-License-Identifier: Apache-2.0
// Compiles a graph into layers, and runs, measures and describes them.
#include "network/cpu/cpu_network.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/cpu_features.h"
#include "core/error.h"
#include "network/cpu/centres.h"

namespace rmbg::cpu {
namespace {

// Names in a profile, in the order of OpKind and ConvMethod.
constexpr const char* kKinds[] = {"conv", "max pool", "concat", "resize", "add", "relu", "sigmoid", "copy", "split"};
constexpr const char* kMethods[] = {"winograd 2", "winograd 4", "winograd 6", "direct", "tiles"};

TensorSpec spec_of(const char* name, const Shape& shape) {
  return {name, {1, shape.channels, shape.height, shape.width}, DataType::kFloat32};
}

void check(const char* what, const TensorView& view, const TensorSpec& expected) {
  const auto text = [](const std::array<std::int64_t, 4>& s) {
    return "(" + std::to_string(s[0]) + ", " + std::to_string(s[1]) + ", " + std::to_string(s[2]) + ", " +
           std::to_string(s[3]) + ")";
  };
  if (view.data == nullptr || view.dtype != DataType::kFloat32 || view.shape != expected.shape)
    throw std::invalid_argument(std::string("the network's ") + what + " is bound to memory of shape " +
                                text(view.shape) + (view.dtype == DataType::kFloat32 ? "" : ", float16") +
                                (view.data == nullptr ? ", null" : "") + "; expected float32 " + text(expected.shape));
}

std::string describe_step(const Plan& plan, const Step& step) {
  const Shape& in = plan.tensors[static_cast<std::size_t>(step.inputs[0])].shape;
  const Shape& out = plan.tensors[static_cast<std::size_t>(step.output)].shape;
  std::string text = std::string(kKinds[static_cast<int>(step.kind)]) + " " + to_string(in) + " -> " + to_string(out);
  if (step.kind != OpKind::kConv) return text;
  text += std::string(", ") + kMethods[static_cast<int>(step.method)];
  if (step.relu) text += ", relu";
  if (step.residual >= 0) text += ", sum";
  if (step.pooled >= 0) text += ", pool";
  return text;
}

}  // namespace

CpuModel::CpuModel(const Graph& graph, Precision precision, const std::vector<float>& centres)
    : plan_(make_plan(graph, precision)) {
  if (precision == Precision::kBf16)
    set_centres(plan_, centres);
  else if (!centres.empty())
    throw std::invalid_argument("centres are for a network in bf16; this one is in fp32");
  spec_.input = spec_of("input", graph.shape(0));
  spec_.output = spec_of("output", graph.shape(graph.output()));
  for (Step& step : plan_.steps) {
    layers_.push_back(make_layer(plan_, step));
    step.node = nullptr;  // the graph does not outlive construction
  }
  for (const Chain& chain : plan_.chains) {
    ChainRunner runner(plan_, chain, layers_);
    if (!runner.worthwhile()) continue;
    add_layers(chain.first);
    parts_.push_back({chain.first, chain.lead.size(), std::move(runner)});
  }
  add_layers(layers_.size());
}

/// Layers that are not in a chain, up to `end`.
void CpuModel::add_layers(std::size_t end) {
  for (std::size_t i = parts_.empty() ? 0 : parts_.back().first + parts_.back().layers; i < end; ++i)
    parts_.push_back({i, 1, std::nullopt});
}

void CpuModel::run_part(const Part& part, const Activations& activations) const {
  if (part.chain)
    part.chain->run(activations);
  else
    run_layer(part.first, activations);
}

std::size_t CpuModel::scratch_floats() const {
  std::size_t floats = 0;
  for (const auto& layer : layers_) floats = std::max(floats, layer->scratch_floats());
  for (const Part& part : parts_)
    if (part.chain) floats = std::max(floats, part.chain->scratch_floats());
  return floats;
}

CpuNetwork::CpuNetwork(std::shared_ptr<const CpuModel> model) : model_(std::move(model)) {
  reserve_huge(arena_, model_->plan().arena_bytes);
  reserve_huge(scratch_, model_->scratch_floats() * sizeof(float));
  activations_ = {&model_->plan(), arena_.as<char>(), {nullptr, nullptr}, scratch_.as<float>()};
}

void CpuNetwork::bind(const TensorView& input, const TensorView& output) {
  check("input", input, spec().input);
  check("output", output, spec().output);
  activations_.external[0] = static_cast<float*>(input.data);
  activations_.external[1] = static_cast<float*>(output.data);
}

void CpuNetwork::check_bound() const {
  if (activations_.external[0] == nullptr) throw NetworkError("the network is not bound; call bind() first");
}

void CpuNetwork::enqueue(Stream) {
  check_bound();
  for (const CpuModel::Part& part : model_->parts()) model_->run_part(part, activations_);
}

std::vector<float> CpuNetwork::channel_means() {
  check_bound();
  const Plan& plan = model_->plan();
  const std::vector<int> centred = centred_tensors(plan);
  std::vector<float> means;
  for (std::size_t i = 0; i < model_->layers(); ++i) {
    model_->run_layer(i, activations_);
    const int output = plan.steps[i].output;
    if (plan.tensors[static_cast<std::size_t>(output)].layout != Layout::kPixels) continue;
    if (std::find(centred.begin(), centred.end(), output) != centred.end()) append_means(activations_, output, means);
  }
  return means;
}

std::vector<double> CpuNetwork::profile() {
  check_bound();
  std::vector<double> times;
  for (const CpuModel::Part& part : model_->parts()) {
    const auto start = std::chrono::steady_clock::now();
    model_->run_part(part, activations_);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return times;
}

std::string describe(const Plan& plan, const CpuModel::Part& part) {
  std::string text = describe_step(plan, plan.steps[part.first]);
  for (std::size_t i = 1; i < part.layers; ++i) text += "; then " + describe_step(plan, plan.steps[part.first + i]);
  return text;
}

const char* isa() { return cpu_isa_name(cpu_isa()); }

}  // namespace rmbg::cpu
