// SPDX-License-Identifier: Apache-2.0
// Light layers in bf16 that are not fused into a convolution: sums, activation functions, pooling, and copies between
// layouts. Each also writes its output's border.
#include <algorithm>
#include <cstring>

#include "core/thread_pool.h"
#include "network/cpu/centres.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

class PixelPointwiseLayer : public Layer {
 public:
  PixelPointwiseLayer(const Plan& plan, const Step& step) : Layer(plan, step), centre_(plan, step) {
    const std::size_t count = in_.centre.size();
    before_.reserve(count * sizeof(float));
    std::copy(in_.centre.begin(), in_.centre.end(), before_.as<float>());
    for (std::size_t i = 0; step.kind == OpKind::kAdd && i < count; ++i)
      before_.as<float>()[i] += plan.tensors[step.inputs[1]].centre[i];
  }

  void run(const Activations& activations) const override {
    const bool add = step_.kind == OpKind::kAdd;
    const Pixels a = activations.pixels(step_.inputs[0]), b = activations.pixels(step_.inputs[add ? 1 : 0]);
    const Pixels out = activations.pixels(step_.output);
    const int channels = in_.blocks() * kBlock;
    const PointwiseKind kind = add                           ? PointwiseKind::kAdd
                               : step_.kind == OpKind::kRelu ? PointwiseKind::kRelu
                                                             : PointwiseKind::kSigmoid;
    parallel_for(out.height, rows_per_piece(static_cast<std::int64_t>(out.width) * channels),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (int y = static_cast<int>(begin); y < end; ++y)
                     kernels().bf16.pointwise({kind, a.at(y, 0), add ? b.at(y, 0) : nullptr, a.pixel, b.pixel,
                                               before_.as<float>(), centre_.shift(0), out.width, channels, out.at(y, 0),
                                               out.pixel});
                   fill_border(out, centre_.border(0), channels, static_cast<int>(begin), static_cast<int>(end));
                 });
  }

 private:
  OutputCentre centre_;
  Buffer before_;
};

class PixelPoolLayer : public Layer {
 public:
  PixelPoolLayer(const Plan& plan, const Step& step)
      : Layer(plan, step), channels_(in_.blocks() * kBlock), centre_(plan, step) {}

  void run(const Activations& activations) const override {
    const Pixels in = activations.pixels(step_.inputs[0]), out = activations.pixels(step_.output);
    parallel_for(out.height, rows_per_piece(2 * static_cast<std::int64_t>(in.width) * channels_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (int y = static_cast<int>(begin); y < end; ++y)
                     kernels().bf16.pool_row(in.at(2 * y, 0), in.at(std::min(2 * y + 1, in.height - 1), 0), in.pixel,
                                             in.width, channels_, out.at(y, 0), out.pixel);
                   fill_border(out, centre_.border(0), channels_, static_cast<int>(begin), static_cast<int>(end));
                 });
  }

 private:
  int channels_;
  OutputCentre centre_;
};

/// Planar values as bf16 in three parts; see Tensor::split.
class PixelSplitLayer : public RowLayer {
 public:
  PixelSplitLayer(const Plan& plan, const Step& step) : RowLayer(plan, step), centre_(plan, step) {}
  std::size_t worker_floats() const override { return 0; }

  void run_rows(const Activations& activations, int begin, int end, float*) const override {
    const Pixels out = activations.pixels(step_.output);
    const int channels = in_.shape.channels;
    for (int y = begin; y < end; ++y) {
      const float* row = activations.data(step_.inputs[0]) + static_cast<std::ptrdiff_t>(y) * out.width;
      for (int x = 0; x < out.width; ++x) {
        Bf16 pixel[kBlock] = {};
        for (int i = 0; i < channels; ++i) {
          const float value = row[i * in_.plane() + x];
          pixel[i] = pixel[2 * channels + i] = to_bf16(value);
          pixel[channels + i] = to_bf16(rounding_error(value));
        }
        std::memcpy(out.at(y, x), pixel, sizeof pixel);
      }
    }
    fill_border(out, centre_.border(0), kBlock, begin, end);
  }

 private:
  OutputCentre centre_;
};

/// Copies one value at a time: only unusual networks need it.
class PixelCopyLayer : public Layer {
 public:
  PixelCopyLayer(const Plan& plan, const Step& step) : Layer(plan, step), centre_(plan, step) {}

  void run(const Activations& activations) const override {
    const int height = in_.shape.height, first = step_.first_channel;
    const bool last = first + in_.shape.channels == out_.shape.channels;  // then this step writes the padding
    const int channels = (last && !out_.planar() ? out_.blocks() * kBlock : first + in_.shape.channels) - first;
    parallel_for(height, rows_per_piece(static_cast<std::int64_t>(in_.shape.width) * channels),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (int y = static_cast<int>(begin); y < end; ++y) copy_row(activations, y, channels);
                   if (!out_.planar())
                     fill_border(activations.pixels(step_.output).from_channel(first), centre_.border(first), channels,
                                 static_cast<int>(begin), static_cast<int>(end));
                 });
  }

 private:
  void copy_row(const Activations& activations, int y, int channels) const {
    const auto planar_at = [&](int tensor, const Tensor& t, int channel, int x) {
      return activations.data(tensor) + channel * t.plane() + static_cast<std::ptrdiff_t>(y) * t.shape.width + x;
    };
    for (int i = 0; i < channels; ++i) {
      const bool real = i < in_.shape.channels;
      const int channel = step_.first_channel + i;
      const auto centre = [](const Tensor& t, int c) {
        return t.planar() ? 0.0f : t.centre[static_cast<std::size_t>(c)];
      };
      for (int x = 0; x < in_.shape.width; ++x) {
        float value = 0.0f;
        if (real && in_.planar()) value = *planar_at(step_.inputs[0], in_, i, x);
        if (real && !in_.planar()) value = to_float(activations.pixels(step_.inputs[0]).at(y, x)[i]) + centre(in_, i);
        if (out_.planar())
          *planar_at(step_.output, out_, channel, x) = value;
        else
          activations.pixels(step_.output).at(y, x)[channel] = to_bf16(value - centre(out_, channel));
      }
    }
  }

  OutputCentre centre_;
};

}  // namespace

std::unique_ptr<Layer> make_pixel_layer(const Plan& plan, const Step& step) {
  switch (step.kind) {
    case OpKind::kAdd:
    case OpKind::kRelu:
    case OpKind::kSigmoid:
      return std::make_unique<PixelPointwiseLayer>(plan, step);
    case OpKind::kMaxPool:
      return std::make_unique<PixelPoolLayer>(plan, step);
    case OpKind::kSplit:
      return std::make_unique<PixelSplitLayer>(plan, step);
    default:
      return std::make_unique<PixelCopyLayer>(plan, step);
  }
}

}  // namespace rmbg::cpu
