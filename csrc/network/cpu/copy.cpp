// SPDX-License-Identifier: Apache-2.0
// Moves channels between any two layouts: the network's wide inputs and outputs, and concatenations that cannot
// be free because a slice would begin inside a block of 16 channels.
#include <algorithm>

#include "core/launch.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

class CopyLayer : public Layer {
 public:
  CopyLayer(const Plan& plan, const Step& step)
      : step_(step), in_(plan.tensors[step.inputs[0]]), out_(plan.tensors[step.output]) {}

  void run(const Activations& activations) const override {
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    const int channels = in_.shape.channels, last = step_.first_channel + channels;
    // Padding lanes meet zero weights; they need only be finite.
    const int padded = last == out_.shape.channels && !out_.planar() ? out_.blocks() * kBlock : last;
    parallel_for(padded - step_.first_channel, rows_per_piece(in_.plane()), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        copy_channel(i < channels ? channel(in, in_, i) : nullptr, channel(out, out_, step_.first_channel + i));
    });
  }

 private:
  template <typename T>
  static T* channel(T* data, const Tensor& tensor, std::int64_t index) {
    if (tensor.planar()) return data + index * tensor.plane();
    return data + index / kBlock * kBlock * tensor.plane() + index % kBlock;
  }

  void copy_channel(const float* in, float* out) const {
    const int in_step = in_.planar() ? 1 : kBlock, out_step = out_.planar() ? 1 : kBlock;
    for (std::int64_t i = 0; i < in_.plane(); ++i) out[i * out_step] = in == nullptr ? 0.0f : in[i * in_step];
  }

  Step step_;
  Tensor in_, out_;
};

}  // namespace

std::unique_ptr<Layer> make_copy(const Plan& plan, const Step& step) { return std::make_unique<CopyLayer>(plan, step); }

}  // namespace rmbg::cpu
