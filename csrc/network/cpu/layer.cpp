// SPDX-License-Identifier: Apache-2.0
// Chooses the layer for a step. Also the layers that are one call of a kernel, and copies.
#include "network/cpu/layer.h"

#include <algorithm>

#include "core/thread_pool.h"
#include "network/cpu/kernels.h"

namespace rmbg::cpu {
namespace {

constexpr std::int64_t kValuesPerPiece = 1 << 14;

class AddLayer : public Layer {
 public:
  using Layer::Layer;
  void run(const Activations& activations) const override {
    const float *a = activations.data(step_.inputs[0]), *b = activations.data(step_.inputs[1]);
    float* out = activations.data(step_.output);
    parallel_for(out_.size(), kValuesPerPiece, [&](std::int64_t begin, std::int64_t end) {
      kernels().add(a + begin, b + begin, end - begin, out + begin);
    });
  }
};

class ActivationLayer : public Layer {
 public:
  using Layer::Layer;
  void run(const Activations& activations) const override {
    const auto function = step_.kind == OpKind::kRelu ? kernels().relu : kernels().sigmoid;
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    parallel_for(out_.size(), kValuesPerPiece,
                 [&](std::int64_t begin, std::int64_t end) { function(in + begin, end - begin, out + begin); });
  }
};

class PoolLayer : public Layer {
 public:
  using Layer::Layer;
  void run(const Activations& activations) const override {
    const int lanes = in_.lanes(), planes = in_.planes();
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
};

/// Moves channels between any two layouts: the network's wide inputs and outputs, and concatenations that need a copy
/// because a slice would begin inside a block of 16 channels.
class CopyLayer : public Layer {
 public:
  using Layer::Layer;

  void run(const Activations& activations) const override {
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    const int channels = in_.shape.channels, last = step_.first_channel + channels;
    // Padding lanes are multiplied by zero weights, so they only have to be finite.
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
    const int in_step = in_.lanes(), out_step = out_.lanes();
    for (std::int64_t i = 0; i < in_.plane(); ++i) out[i * out_step] = in == nullptr ? 0.0f : in[i * in_step];
  }
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
    case OpKind::kConcat:  // the plan replaced it by slices and copies
    case OpKind::kCopy:
    case OpKind::kSplit:
      break;
  }
  return std::make_unique<CopyLayer>(plan, step);
}

void RowLayer::run(const Activations& activations) const {
  const int height = out_.shape.height, pieces = kPiecesPerWorker * parallel_workers();
  const std::int64_t row_values = static_cast<std::int64_t>(out_.shape.width) * out_.blocks() * kBlock;
  const std::int64_t rows = std::max(rows_per_piece(row_values), std::int64_t{(height + pieces - 1) / pieces});
  parallel_for_worker((height + 1) / 2, (rows + 1) / 2, [&](std::int64_t begin, std::int64_t end, int worker) {
    run_rows(activations, 2 * static_cast<int>(begin), std::min(2 * static_cast<int>(end), height),
             activations.scratch + worker_floats() * static_cast<std::size_t>(worker));
  });
}

std::size_t RowLayer::scratch_floats() const { return worker_floats() * static_cast<std::size_t>(parallel_workers()); }

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
