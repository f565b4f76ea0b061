// SPDX-License-Identifier: Apache-2.0
// Centres of the activations of a bf16 plan: measured ones from the table, the others from where the data comes from.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "network/cpu/bf16.h"
#include "network/cpu/plan.h"

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
    throw std::invalid_argument("a table of " + std::to_string(table.size()) + " centres; expected " +
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
    // Then 0, the most frequent value behind a ReLU, is stored exactly.
    for (float& value : values) value = to_float(to_bf16(value));
    if (own) next += output.shape.channels;
    const int channels = own ? output.shape.channels : source.shape.channels;
    set_centre(plan, step.output, step.first_channel, values, channels);
    if (step.pooled >= 0) set_centre(plan, step.pooled, 0, values, channels);
  }
}

}  // namespace rmbg::cpu
