// SPDX-License-Identifier: Apache-2.0
// What slots on the CPU and on a GPU require of a network.
#include "pipeline/slot.h"

#include <stdexcept>
#include <string>

namespace rmbg {
namespace {

std::string describe(const TensorSpec& tensor) {
  std::string text = "'" + tensor.name + "' (";
  for (int i = 0; i < 4; ++i) text += (i ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + ")";
}

Size size_of(const TensorSpec& tensor) {
  return {static_cast<int>(tensor.shape[3]), static_cast<int>(tensor.shape[2])};
}

}  // namespace

const NetworkSpec& check_shapes(const NetworkSpec& spec) {
  const auto& in = spec.input.shape;
  const auto& out = spec.output.shape;
  if (in[0] != 1 || in[1] != 3 || in[2] < 1 || in[3] < 1)
    throw std::invalid_argument("network input " + describe(spec.input) + "; expected (1, 3, height, width)");
  if (out[0] != 1 || out[1] != 1 || out[2] < 1 || out[3] < 1)
    throw std::invalid_argument("network output " + describe(spec.output) + "; expected (1, 1, height, width)");
  return spec;
}

Size input_size(const NetworkSpec& spec) { return size_of(spec.input); }
Size output_size(const NetworkSpec& spec) { return size_of(spec.output); }

}  // namespace rmbg
