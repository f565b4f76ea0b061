// SPDX-License-Identifier: Apache-2.0
// Convolutions from bf16 activations to planar floats: U²-Net's side outputs. Weights stay in float, for here the
// matte's edge is decided.
#include "core/launch.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"
#include "network/cpu/output_centre.h"

namespace rmbg::cpu {
namespace {

class DotLayer : public Layer {
 public:
  DotLayer(const Plan& plan, const Step& step)
      : step_(step), in_(plan.tensors[step.inputs[0]]), out_(plan.tensors[step.output]) {
    const Node& node = *step.node;
    const Pixels layout = pixels_of(plan, step.inputs[0], nullptr);
    for (int ky = 0; ky < node.kernel; ++ky)
      for (int kx = 0; kx < node.kernel; ++kx)
        taps_.push_back((ky - node.kernel / 2) * node.dilation * layout.row() +
                        (kx - node.kernel / 2) * node.dilation * layout.pixel);
    bias_.reserve(static_cast<std::size_t>(out_.blocks()) * kBlock * sizeof(float));
    pack_centred_bias(node, in_, out_.blocks(), bias_.as<float>());
    pack_weights(node);
    step_.node = nullptr;  // the graph does not outlive construction
  }

  void run(const Activations& activations) const override {
    const int height = out_.shape.height, width = out_.shape.width;
    const Pixels in = activations.pixels(step_.inputs[0]);
    float* out = activations.data(step_.output);
    parallel_for(static_cast<std::int64_t>(out_.shape.channels) * height,
                 rows_per_piece(static_cast<std::int64_t>(width) * padded()),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t channel = i / height;
                     kernels().bf16.dot_row(in.at(static_cast<int>(i % height), 0), in.pixel, taps_.data(),
                                            static_cast<int>(taps_.size()), padded(),
                                            weights_.as<float>() + channel * channel_floats(),
                                            bias_.as<float>()[channel], step_.relu, width, out + i * width);
                   }
                 });
  }

 private:
  int padded() const { return in_.blocks() * kBlock; }
  std::int64_t channel_floats() const { return static_cast<std::int64_t>(taps_.size()) * padded(); }

  /// [output channel][tap][input channel], padded.
  void pack_weights(const Node& node) {
    const std::size_t cin = static_cast<std::size_t>(in_.shape.channels), taps = taps_.size();
    weights_.reserve(static_cast<std::size_t>(channel_floats()) * node.bias.size() * sizeof(float));
    float* out = weights_.as<float>();
    for (std::size_t o = 0; o < node.bias.size(); ++o)
      for (std::size_t tap = 0; tap < taps; ++tap)
        for (std::size_t i = 0; i < static_cast<std::size_t>(padded()); ++i)
          *out++ = i < cin ? node.weights[(o * cin + i) * taps + tap] : 0.0f;
  }

  Step step_;
  Tensor in_, out_;
  std::vector<std::ptrdiff_t> taps_;
  Buffer weights_, bias_;
};

}  // namespace

std::unique_ptr<Layer> make_dot(const Plan& plan, const Step& step) { return std::make_unique<DotLayer>(plan, step); }

}  // namespace rmbg::cpu
