// SPDX-License-Identifier: Apache-2.0
// Convolutions to a blocked output as plain matrix products, a row of pixels at a time: 1x1, the first layer with
// its three planar channels, and small maps where Winograd's larger weights cost more than they save. The taps of
// a row are read from a zero-padded copy of its input rows; each tap is a segment of the product.
#include <algorithm>
#include <cstring>
#include <optional>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "network/cpu/centres.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

class DirectLayer : public RowLayer {
 public:
  DirectLayer(const Plan& plan, const Step& step)
      : RowLayer(plan, step),
        kernel_(step.node->kernel),
        dilation_(step.node->dilation),
        lanes_(in_.lanes()),
        planes_(in_.planes()),
        groups_{out_.blocks(), kernels().group},
        centre_(plan, step) {
    pack_weights(*step.node);
    bias_.reserve(static_cast<std::size_t>(out_.blocks()) * kBlock * sizeof(float));
    pack_bias(*step.node, out_.blocks(), bias_.as<float>());
    if (out_.layout == Layout::kPixels) finish_.emplace(bias_.as<float>(), step.relu, centre_, out_.blocks());
  }

  std::size_t worker_floats() const override {
    return (line_floats() + 15) / 16 * 16 + sums_floats() + (offsets_floats() + 15) / 16 * 16;
  }

  void run(const Activations& activations) const override {
    // Groups are the outer loop: a group's weights stay in the cache for all rows.
    const int height = out_.shape.height;
    parallel_for_worker(static_cast<std::int64_t>(groups_.count()) * height, 1,
                        [&](std::int64_t begin, std::int64_t end, int worker) {
                          float* scratch = activations.scratch + worker_floats() * static_cast<std::size_t>(worker);
                          for (std::int64_t i = begin; i < end; ++i)
                            run_row(activations, static_cast<int>(i / height), static_cast<int>(i % height), scratch);
                        });
  }

  void run_rows(const Activations& activations, int begin, int end, float* scratch) const override {
    for (int group = 0; group < groups_.count(); ++group)
      for (int y = begin; y < end; ++y) run_row(activations, group, y, scratch);
  }

 private:
  static constexpr int kRun = 112;  // pixels of a product; their sums stay in the L1 cache
  int taps() const { return kernel_ * kernel_; }
  int line_width() const { return in_.shape.width + (kernel_ - 1) * dilation_; }
  std::size_t line_floats() const { return static_cast<std::size_t>(planes_) * kernel_ * line_width() * lanes_; }
  std::size_t sums_floats() const { return static_cast<std::size_t>(groups_.group) * kRun * kBlock; }
  std::size_t offsets_floats() const {
    return static_cast<std::size_t>(planes_) * taps() * sizeof(std::ptrdiff_t) / sizeof(float);
  }

  /// [group][tap row][plane][tap column][lane][group's channels], so that a row of taps can be skipped.
  void pack_weights(const Node& node) {
    const int cin = in_.shape.channels, cout = out_.shape.channels;
    const std::size_t depth = static_cast<std::size_t>(taps()) * planes_ * lanes_;
    const std::size_t count = depth * out_.blocks() * kBlock;
    weights_.reserve(count * sizeof(float));
    float* out = weights_.as<float>();
    for (int group = 0; group < groups_.count(); ++group)
      for (int ky = 0; ky < kernel_; ++ky)
        for (int plane = 0; plane < planes_; ++plane)
          for (int kx = 0; kx < kernel_; ++kx)
            for (int lane = 0; lane < lanes_; ++lane)
              for (int j = 0; j < groups_.size(group) * kBlock; ++j) {
                const int i = plane * lanes_ + lane, o = group * groups_.group * kBlock + j;
                const std::size_t at = ((static_cast<std::size_t>(o) * cin + i) * kernel_ + ky) * kernel_ + kx;
                *out++ = i < cin && o < cout ? node.weights[at] : 0.0f;
              }
  }

  void run_row(const Activations& activations, int group, int y, float* scratch) const {
    const int height = in_.shape.height, width = in_.shape.width;
    const float* in = activations.data(step_.inputs[0]);
    float* line = scratch;
    float* sums = scratch + (line_floats() + 15) / 16 * 16;
    auto* offsets = reinterpret_cast<std::ptrdiff_t*>(sums + sums_floats());
    int skipped = 0, segments = 0;
    const int row_segments = planes_ * kernel_;
    for (int ky = 0; ky < kernel_; ++ky) {
      const int row = y + (ky - kernel_ / 2) * dilation_;
      if (row < 0) ++skipped;
      if (row < 0 || row >= height) continue;
      for (int plane = 0; plane < planes_; ++plane) {
        float* copy = line + static_cast<std::ptrdiff_t>(ky * planes_ + plane) * line_width() * lanes_;
        fill_line(in + (plane * in_.plane() + static_cast<std::ptrdiff_t>(row) * width) * lanes_, copy);
        for (int kx = 0; kx < kernel_; ++kx) offsets[segments++] = copy - line + kx * dilation_ * lanes_;
      }
    }
    const int blocks = groups_.size(group);
    const std::size_t depth = static_cast<std::size_t>(taps()) * planes_ * lanes_;
    const float* weights = weights_.as<float>() + depth * group * groups_.group * kBlock +
                           static_cast<std::size_t>(skipped) * row_segments * lanes_ * blocks * kBlock;
    for (int first = 0; first < width; first += kRun) {
      const int count = std::min(kRun, width - first);
      const GemmTask task{line + static_cast<std::ptrdiff_t>(first) * lanes_,
                          offsets,
                          segments,
                          count,
                          weights,
                          blocks,
                          sums,
                          count * kBlock};
      (in_.planar() ? kernels().gemm_planar : kernels().gemm)(task);
      if (out_.layout == Layout::kPixels)
        finish_pixels(activations, task, y, first, group * groups_.group);
      else
        finish_blocks(activations, task, y, first, group * groups_.group);
    }
    if (out_.layout != Layout::kPixels) return;
    const int channel = group * groups_.group * kBlock;
    fill_border(activations.pixels(step_.output).from_channel(channel), centre_.border(channel), blocks * kBlock, y,
                y + 1);
  }

  /// The network's first convolution in bf16 rounds only its output.
  void finish_pixels(const Activations& activations, const GemmTask& task, int y, int first, int block) const {
    const int channel = block * kBlock;
    const Pixels out = activations.pixels(step_.output);
    const Pixels residual = step_.residual >= 0 ? activations.pixels(step_.residual) : Pixels{};
    kernels().bf16.finish({task.m, task.block_stride, task.blocks, task.count, finish_->bias(channel),
                           finish_->floor(channel), step_.residual >= 0 ? residual.at(y, first) + channel : nullptr,
                           residual.pixel, out.at(y, first) + channel, out.pixel});
  }

  void finish_blocks(const Activations& activations, const GemmTask& task, int y, int first, int block) const {
    for (int j = 0; j < task.blocks; ++j, ++block) {
      const std::ptrdiff_t at =
          (block * out_.plane() + static_cast<std::ptrdiff_t>(y) * out_.shape.width + first) * kBlock;
      kernels().finish(task.m + j * task.block_stride, task.count, bias_.as<float>() + block * kBlock, step_.relu,
                       step_.residual >= 0 ? activations.data(step_.residual) + at : nullptr,
                       activations.data(step_.output) + at);
    }
  }

  void fill_line(const float* row, float* line) const {
    const std::size_t pad = static_cast<std::size_t>(kernel_ / 2) * dilation_ * lanes_;
    const std::size_t inside = static_cast<std::size_t>(in_.shape.width) * lanes_;
    std::fill(line, line + pad, 0.0f);
    std::memcpy(line + pad, row, inside * sizeof(float));
    std::fill(line + pad + inside, line + pad + inside + pad, 0.0f);
  }

  int kernel_, dilation_, lanes_, planes_;
  Groups groups_;
  OutputCentre centre_;
  Buffer weights_, bias_;
  std::optional<Finish> finish_;  // for pixels
};

}  // namespace

std::unique_ptr<Layer> make_direct(const Plan& plan, const Step& step) {
  return std::make_unique<DirectLayer>(plan, step);
}

}  // namespace rmbg::cpu
