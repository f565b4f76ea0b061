// SPDX-License-Identifier: Apache-2.0
// Bilinear interpolation as in ONNX's Resize: rows first, into a line, then columns.
#include <algorithm>
#include <cmath>

#include "core/thread_pool.h"
#include "network/cpu/centres.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

/// Two neighbours for each output position, and the weight of the second one.
struct Axis {
  std::vector<int> low, high;
  std::vector<float> weight;

  Axis(int in, int out, Coordinates coordinates) {
    for (int i = 0; i < out; ++i) {
      double at = (i + 0.5) * in / out - 0.5;
      if (coordinates == Coordinates::kAlignCorners) at = out > 1 ? static_cast<double>(i) * (in - 1) / (out - 1) : 0.0;
      if (coordinates == Coordinates::kPytorchHalfPixel && out == 1) at = 0.0;
      at = std::clamp(at, 0.0, in - 1.0);
      const int floor = static_cast<int>(at);
      low.push_back(floor);
      high.push_back(std::min(floor + 1, in - 1));
      weight.push_back(static_cast<float>(at - floor));
    }
  }
};

class ResizeLayer : public Layer {
 public:
  ResizeLayer(const Plan& plan, const Step& step)
      : Layer(plan, step),
        rows_(in_.shape.height, out_.shape.height, step.node->coordinates),
        columns_(in_.shape.width, out_.shape.width, step.node->coordinates) {}

  std::size_t scratch_floats() const override { return line_floats() * static_cast<std::size_t>(parallel_workers()); }

  void run(const Activations& activations) const override {
    const Kernels& k = kernels();
    const int lanes = in_.lanes(), planes = in_.planes();
    const std::int64_t in_row = static_cast<std::int64_t>(in_.shape.width) * lanes;
    const std::int64_t out_row = static_cast<std::int64_t>(out_.shape.width) * lanes;
    const int height = out_.shape.height;
    const float* in = activations.data(step_.inputs[0]);
    float* out = activations.data(step_.output);
    parallel_for_worker(static_cast<std::int64_t>(planes) * height, rows_per_piece(out_row),
                        [&](std::int64_t begin, std::int64_t end, int worker) {
                          float* line = activations.scratch + line_floats() * static_cast<std::size_t>(worker);
                          for (std::int64_t i = begin; i < end; ++i) {
                            const float* plane = in + i / height * in_.shape.height * in_row;
                            const auto y = static_cast<std::size_t>(i % height);
                            k.lerp(plane + rows_.low[y] * in_row, plane + rows_.high[y] * in_row, rows_.weight[y],
                                   in_row, line);
                            k.lerp_columns(line, columns_.low.data(), columns_.high.data(), columns_.weight.data(),
                                           out_.shape.width, lanes, out + i * out_row);
                          }
                        });
  }

 private:
  std::size_t line_floats() const { return static_cast<std::size_t>(in_.shape.width) * kBlock; }

  Axis rows_, columns_;
};

/// In bf16; the output has its input's centre.
class PixelResizeLayer : public RowLayer {
 public:
  PixelResizeLayer(const Plan& plan, const Step& step)
      : RowLayer(plan, step),
        rows_(in_.shape.height, out_.shape.height, step.node->coordinates),
        columns_(in_.shape.width, out_.shape.width, step.node->coordinates),
        centre_(plan, step) {}

  std::size_t worker_floats() const override {
    return static_cast<std::size_t>(in_.shape.width) * in_.blocks() * kBlock;
  }

  void run_rows(const Activations& activations, int begin, int end, float* line) const override {
    const Bf16Kernels& k = kernels().bf16;
    const Pixels in = activations.pixels(step_.inputs[0]), out = activations.pixels(step_.output);
    const int channels = in_.blocks() * kBlock;
    for (int y = begin; y < end; ++y) {
      const auto row = static_cast<std::size_t>(y);
      k.lerp_rows(in.at(rows_.low[row], 0), in.at(rows_.high[row], 0), in.pixel, rows_.weight[row], in.width, channels,
                  line);
      k.lerp_columns(line, columns_.low.data(), columns_.high.data(), columns_.weight.data(), out.width, channels,
                     out.at(y, 0), out.pixel);
    }
    fill_border(out, centre_.border(0), channels, begin, end);
  }

 private:
  Axis rows_, columns_;
  OutputCentre centre_;
};

}  // namespace

std::unique_ptr<Layer> make_pixel_resize(const Plan& plan, const Step& step) {
  return std::make_unique<PixelResizeLayer>(plan, step);
}

std::unique_ptr<Layer> make_resize(const Plan& plan, const Step& step) {
  return std::make_unique<ResizeLayer>(plan, step);
}

}  // namespace rmbg::cpu
