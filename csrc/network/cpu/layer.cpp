// SPDX-License-Identifier: Apache-2.0
// The choice of the layer for a step, and the layers that are one call of a kernel.
#include "network/cpu/layer.h"

#include <algorithm>

#include "core/launch.h"
#include "network/cpu/kernels.h"

namespace rmbg::cpu {
namespace {

constexpr std::int64_t kValuesPerPiece = 1 << 14;

class AddLayer : public Layer {
 public:
  AddLayer(const Plan& plan, const Step& step) : step_(step), count_(plan.tensors[step.output].size()) {}
  void run(const Activations& activations) const override {
    const float *a = activations.data(step_.inputs[0]), *b = activations.data(step_.inputs[1]);
    float* out = activations.data(step_.output);
    parallel_for(count_, kValuesPerPiece, [&](std::int64_t begin, std::int64_t end) {
      kernels().add(a + begin, b + begin, end - begin, out + begin);
    });
  }

 private:
  Step step_;
  std::int64_t count_;
};

class ActivationLayer : public Layer {
 public:
  ActivationLayer(const Plan& plan, const Step& step)
      : step_(step),
        count_(plan.tensors[step.output].size()),
        function_(step.kind == OpKind::kRelu ? kernels().relu : kernels().sigmoid) {}
  void run(const Activations& activations) const override {
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    parallel_for(count_, kValuesPerPiece,
                 [&](std::int64_t begin, std::int64_t end) { function_(in + begin, end - begin, out + begin); });
  }

 private:
  Step step_;
  std::int64_t count_;
  void (*function_)(const float*, std::int64_t, float*);
};

class PoolLayer : public Layer {
 public:
  PoolLayer(const Plan& plan, const Step& step) : step_(step), in_(plan.tensors[step.inputs[0]]) {}
  void run(const Activations& activations) const override {
    const int lanes = in_.planar() ? 1 : kBlock, planes = in_.planar() ? in_.shape.channels : in_.blocks();
    const int height = in_.shape.height, width = in_.shape.width, rows = (height + 1) / 2;
    const std::ptrdiff_t row_floats = static_cast<std::ptrdiff_t>(width) * lanes;
    const std::ptrdiff_t out_floats = static_cast<std::ptrdiff_t>((width + 1) / 2) * lanes;
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    parallel_for(static_cast<std::int64_t>(planes) * rows, rows_per_piece(2 * row_floats),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t plane = i / rows, y = i % rows * 2;
                     const float* top = in + (plane * height + y) * row_floats;
                     const float* bottom = y + 1 < height ? top + row_floats : top;
                     kernels().pool_row(top, bottom, width, lanes, out + i * out_floats);
                   }
                 });
  }

 private:
  Step step_;
  Tensor in_;
};

std::unique_ptr<Layer> make_conv(const Plan& plan, const Step& step) {
  if (step.method == ConvMethod::kTiles) return make_tiles(plan, step);
  if (step.method != ConvMethod::kDirect) return make_winograd(plan, step);
  if (plan.tensors[step.inputs[0]].layout == Layout::kPixels) return make_dot(plan, step);
  return plan.tensors[step.output].planar() ? make_planar(plan, step) : make_direct(plan, step);
}

}  // namespace

std::unique_ptr<Layer> make_layer(const Plan& plan, const Step& step) {
  const auto is_pixels = [&](int tensor) { return plan.tensors[tensor].layout == Layout::kPixels; };
  if (step.kind != OpKind::kConv && (is_pixels(step.inputs[0]) || is_pixels(step.output)))
    return step.kind == OpKind::kResize ? make_pixel_resize(plan, step) : make_pixel_layer(plan, step);
  switch (step.kind) {
    case OpKind::kConv:
      return make_conv(plan, step);
    case OpKind::kMaxPool:
      return std::make_unique<PoolLayer>(plan, step);
    case OpKind::kResize:
      return make_resize(plan, step);
    case OpKind::kAdd:
      return std::make_unique<AddLayer>(plan, step);
    case OpKind::kRelu:
    case OpKind::kSigmoid:
      return std::make_unique<ActivationLayer>(plan, step);
    case OpKind::kConcat:  // the plan has made copies of what it could not alias
    case OpKind::kCopy:
      break;
  }
  return make_copy(plan, step);
}

Pixels pixels_of(const Plan& plan, int tensor, char* arena) {
  const Tensor& t = plan.tensors[static_cast<std::size_t>(tensor)];
  if (t.parent >= 0) return pixels_of(plan, t.parent, arena).from_channel(t.first_channel);
  return {arena == nullptr ? nullptr : reinterpret_cast<Bf16*>(arena + t.offset), t.shape.height, t.shape.width,
          t.border, t.pixel()};
}

void pack_bias(const Node& node, int blocks, float* out) {
  std::fill(out, out + blocks * kBlock, 0.0f);
  std::copy(node.bias.begin(), node.bias.end(), out);
}

}  // namespace rmbg::cpu
