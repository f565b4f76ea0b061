// SPDX-License-Identifier: Apache-2.0
// Computed once, at construction.
#include "network/cpu/output_centre.h"

#include <algorithm>

namespace rmbg::cpu {

OutputCentre::OutputCentre(const Plan& plan, const Step& step) {
  const std::vector<float>& centre = plan.tensors[static_cast<std::size_t>(step.output)].centre;
  shift_.reserve(centre.size() * sizeof(float));
  for (std::size_t i = 0; i < centre.size(); ++i) {
    border_.push_back(to_bf16(-centre[i]));
    shift_.as<float>()[i] = -centre[i];
    if (step.residual >= 0) shift_.as<float>()[i] += plan.tensors[static_cast<std::size_t>(step.residual)].centre[i];
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
