// SPDX-License-Identifier: Apache-2.0
// Measured centres come from the table; a tensor without one of its own has the centre of its source.
#include "network/cpu/centres.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace rmbg::cpu {
namespace {

Tensor& at(Plan& plan, int tensor) { return plan.tensors[static_cast<std::size_t>(tensor)]; }

/// Writes centres from channel `first` on, also into the concatenations that the tensor is a slice of.
void set_centre(Plan& plan, int tensor, int first, const std::vector<float>& values, int channels) {
  for (; tensor >= 0; tensor = at(plan, tensor).parent) {
    std::copy(values.begin(), values.begin() + channels, at(plan, tensor).centre.begin() + first);
    first += at(plan, tensor).first_channel;
  }
}

}  // namespace

std::vector<int> centred_tensors(const Plan& plan) {
  std::vector<int> tensors;
  for (const Step& step : plan.steps) {
    const bool own = step.kind == OpKind::kConv || step.kind == OpKind::kAdd || step.kind == OpKind::kRelu ||
                     step.kind == OpKind::kSigmoid;
    if (own && !plan.tensors[static_cast<std::size_t>(step.output)].planar()) tensors.push_back(step.output);
  }
  return tensors;
}

void set_centres(Plan& plan, const std::vector<float>& table) {
  const std::vector<int> centred = centred_tensors(plan);
  std::size_t expected = 0;
  for (const int tensor : centred) expected += static_cast<std::size_t>(at(plan, tensor).shape.channels);
  if (!table.empty() && table.size() != expected)
    throw std::invalid_argument("the table has " + std::to_string(table.size()) + " centres; expected " +
                                std::to_string(expected) + " for this network");
  for (Tensor& tensor : plan.tensors) tensor.centre.assign(static_cast<std::size_t>(tensor.blocks()) * 16, 0.0f);
  if (table.empty()) return;

  auto next = table.begin();
  for (const Step& step : plan.steps) {
    const Tensor& output = at(plan, step.output);
    if (output.planar()) continue;
    const bool own = std::find(centred.begin(), centred.end(), step.output) != centred.end();
    const Tensor& source = at(plan, step.inputs[0]);
    std::vector<float> values = source.centre;
    if (own) values.assign(next, next + output.shape.channels);
    // Rounded, so that 0, the most frequent value after a ReLU, is stored exactly.
    for (float& value : values) value = to_float(to_bf16(value));
    if (own) next += output.shape.channels;
    const int channels = own ? output.shape.channels : source.shape.channels;
    set_centre(plan, step.output, step.first_channel, values, channels);
    if (step.pooled >= 0) set_centre(plan, step.pooled, 0, values, channels);
  }
}

OutputCentre::OutputCentre(const Plan& plan, const Step& step) {
  const std::vector<float>& centre = plan.tensors[static_cast<std::size_t>(step.output)].centre;
  shift_.reserve(centre.size() * sizeof(float));
  for (std::size_t i = 0; i < centre.size(); ++i) {
    border_.push_back(to_bf16(-centre[i]));
    shift_.as<float>()[i] = -centre[i];
    if (step.residual >= 0) shift_.as<float>()[i] += plan.tensors[static_cast<std::size_t>(step.residual)].centre[i];
  }
}

Finish::Finish(const float* bias, bool relu, const OutputCentre& centre, int blocks) : channels_(blocks * 16) {
  values_.reserve(2 * static_cast<std::size_t>(channels_) * sizeof(float));
  float* out = values_.as<float>();
  for (int i = 0; i < channels_; ++i) {
    out[i] = bias[i] + *centre.shift(i);
    out[channels_ + i] = relu ? *centre.shift(i) : -std::numeric_limits<float>::infinity();
  }
}

void append_means(const Activations& activations, int tensor, std::vector<float>& means) {
  const Tensor& t = activations.plan->tensors[static_cast<std::size_t>(tensor)];
  const Pixels pixels = activations.pixels(tensor);
  const auto channels = static_cast<std::size_t>(t.shape.channels);
  std::vector<double> sums(channels);
  std::vector<float> row(channels);
  for (int y = 0; y < pixels.height; ++y) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int x = 0; x < pixels.width; ++x) {
      const Bf16* pixel = pixels.at(y, x);
      for (std::size_t i = 0; i < channels; ++i) row[i] += to_float(pixel[i]);
    }
    for (std::size_t i = 0; i < channels; ++i) sums[i] += row[i];
  }
  for (std::size_t i = 0; i < channels; ++i)
    means.push_back(static_cast<float>(sums[i] / static_cast<double>(t.plane())) + t.centre[i]);
}

void pack_centred_bias(const Node& node, const Tensor& input, int blocks, float* out) {
  std::fill(out, out + blocks * 16, 0.0f);
  const std::size_t cin = static_cast<std::size_t>(input.shape.channels),
                    taps = node.weights.size() / node.bias.size() / cin;
  const float* weight = node.weights.data();
  for (std::size_t o = 0; o < node.bias.size(); ++o) {
    double sum = node.bias[o];
    for (std::size_t i = 0; i < cin; ++i)
      for (std::size_t tap = 0; tap < taps; ++tap) sum += static_cast<double>(*weight++) * input.centre[i];
    out[o] = static_cast<float>(sum);
  }
}

}  // namespace rmbg::cpu
