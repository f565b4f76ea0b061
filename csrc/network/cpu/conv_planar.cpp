// SPDX-License-Identifier: Apache-2.0
// Convolutions with few, planar output channels: U²-Net's side outputs (dot products over many channels) and their
// fusion (six channels to one, as a sum of shifted rows).
#include <algorithm>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

class PlanarLayer : public Layer {
 public:
  PlanarLayer(const Plan& plan, const Step& step)
      : Layer(plan, step),
        kernel_(step.node->kernel),
        dilation_(step.node->dilation),
        lanes_(in_.lanes()),
        planes_(in_.planes()),
        bias_(step.node->bias) {
    pack_weights(*step.node);
  }

  void run(const Activations& activations) const override {
    const int height = out_.shape.height, width = out_.shape.width;
    parallel_for(
        static_cast<std::int64_t>(out_.shape.channels) * height,
        rows_per_piece(static_cast<std::int64_t>(width) * planes_ * lanes_), [&](std::int64_t begin, std::int64_t end) {
          const float* in = activations.data(step_.inputs[0]);
          for (std::int64_t i = begin; i < end; ++i) {
            const int channel = static_cast<int>(i / height), y = static_cast<int>(i % height);
            const float* weights = weights_.as<float>() + static_cast<std::size_t>(channel) * channel_floats();
            float* out = activations.data(step_.output) + i * width;
            const float bias = bias_[static_cast<std::size_t>(channel)];
            if (in_.planar())
              sum_rows(in, y, weights, bias, out);
            else
              kernels().dot_row(in, planes_, height, width, y, kernel_, dilation_, weights, bias, step_.relu, out);
          }
        });
  }

 private:
  std::size_t channel_floats() const { return static_cast<std::size_t>(kernel_) * kernel_ * planes_ * lanes_; }

  /// [output channel][tap][input channel], padded.
  void pack_weights(const Node& node) {
    const int cin = in_.shape.channels, taps = kernel_ * kernel_;
    weights_.reserve(channel_floats() * bias_.size() * sizeof(float));
    float* out = weights_.as<float>();
    for (std::size_t o = 0; o < bias_.size(); ++o)
      for (int tap = 0; tap < taps; ++tap)
        for (int i = 0; i < planes_ * lanes_; ++i) *out++ = i < cin ? node.weights[(o * cin + i) * taps + tap] : 0.0f;
  }

  void sum_rows(const float* in, int y, const float* weights, float bias, float* out) const {
    const int height = in_.shape.height, width = in_.shape.width;
    std::fill(out, out + width, bias);
    for (int ky = 0; ky < kernel_; ++ky) {
      const int row = y + (ky - kernel_ / 2) * dilation_;
      if (row < 0 || row >= height) continue;
      for (int kx = 0; kx < kernel_; ++kx) {
        const int shift = (kx - kernel_ / 2) * dilation_;
        const int begin = std::max(0, -shift), end = std::min(width, width - shift);
        for (int plane = 0; plane < planes_ && begin < end; ++plane)
          kernels().axpy(weights[(ky * kernel_ + kx) * planes_ + plane],
                         in + plane * in_.plane() + static_cast<std::ptrdiff_t>(row) * width + begin + shift,
                         end - begin, out + begin);
      }
    }
    if (step_.relu) kernels().relu(out, width, out);
  }

  int kernel_, dilation_, lanes_, planes_;
  std::vector<float> bias_;
  Buffer weights_;
};

}  // namespace

std::unique_ptr<Layer> make_planar(const Plan& plan, const Step& step) {
  return std::make_unique<PlanarLayer>(plan, step);
}

}  // namespace rmbg::cpu
