// SPDX-License-Identifier: Apache-2.0
// Steps in words, for the per-layer profile.
#include <string>

#include "network/cpu/cpu_network.h"

namespace rmbg::cpu {
namespace {

std::string kind_name(OpKind kind) {
  switch (kind) {
    case OpKind::kConv:
      return "conv";
    case OpKind::kMaxPool:
      return "max pool";
    case OpKind::kConcat:
      return "concat";
    case OpKind::kResize:
      return "resize";
    case OpKind::kAdd:
      return "add";
    case OpKind::kRelu:
      return "relu";
    case OpKind::kSigmoid:
      return "sigmoid";
    case OpKind::kCopy:
      break;
  }
  return "copy";
}

std::string method_name(ConvMethod method) {
  switch (method) {
    case ConvMethod::kWinograd2:
      return "winograd 2";
    case ConvMethod::kWinograd4:
      return "winograd 4";
    case ConvMethod::kWinograd6:
      return "winograd 6";
    case ConvMethod::kTiles:
      return "tiles";
    case ConvMethod::kDirect:
      break;
  }
  return "direct";
}

}  // namespace

std::string describe(const Plan& plan, const Step& step) {
  const Shape& in = plan.tensors[static_cast<std::size_t>(step.inputs[0])].shape;
  const Shape& out = plan.tensors[static_cast<std::size_t>(step.output)].shape;
  std::string text = kind_name(step.kind) + " " + to_string(in) + " -> " + to_string(out);
  if (step.kind != OpKind::kConv) return text;
  text += ", " + method_name(step.method);
  if (step.relu) text += ", relu";
  if (step.residual >= 0) text += ", sum";
  if (step.pooled >= 0) text += ", pool";
  return text;
}

}  // namespace rmbg::cpu
