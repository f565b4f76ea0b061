// SPDX-License-Identifier: Apache-2.0
// Convolutions from bf16 activations to at most eight planar channels: U²-Net's side outputs, which decide the matte's
// edge. Half of a tile's 16 outputs multiply the rounded weights, the other half the rounding errors, so that weights
// have 16 bits of precision.
#include <algorithm>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "network/cpu/centres.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"
#include "network/cpu/tile_weights.h"

namespace rmbg::cpu {
namespace {

constexpr int kLow = kPlanarChannels;  // the first output of the second half
constexpr int kRun = kMaxTiles * kTilePixels;
constexpr std::size_t kRunSums = std::size_t{kRun} * kBlock;
static_assert(2 * kPlanarChannels == kBlock);

class DotLayer : public RowLayer {
 public:
  DotLayer(const Plan& plan, const Step& step)
      : RowLayer(plan, step),
        steps_(make_tile_steps(pixels_of(plan, step.inputs[0], nullptr), in_.blocks(), step.node->kernel,
                               step.node->dilation)),
        reach_(step.reach()) {
    for (const TileStep& tile_step : steps_.steps) offsets_.push_back(tile_step.offset);
    weights_.reserve(steps_.steps.size() * static_cast<std::size_t>(steps_.depth) * kBlock * sizeof(Bf16));
    pack_tile_weights(split(*step.node), steps_, Groups{1, 1}, weights_.as<Bf16>());
    pack_centred_bias(*step.node, in_, 1, bias_);
  }

  std::size_t worker_floats() const override { return kRunSums; }

  void run_rows(const Activations& activations, int begin, int end, float* sums) const override {
    const Pixels in = activations.pixels(step_.inputs[0]);
    float* out = activations.data(step_.output);
    kernels().bf16.begin(steps_.depth);
    for (int y = begin; y < end; ++y) run_row(in, y, sums, out);
    kernels().bf16.end();
  }

 private:
  /// The node with 16 outputs: the weights and, from kLow on, their rounding errors.
  static Node split(const Node& node) {
    Node result{OpKind::kConv, {}};
    result.kernel = node.kernel;
    result.bias.assign(kBlock, 0.0f);
    const std::size_t per_output = node.weights.size() / node.bias.size(), low = kLow * per_output;
    std::vector<float> weights(kBlock * per_output);
    for (std::size_t i = 0; i < node.weights.size(); ++i) {
      weights[i] = node.weights[i];
      weights[low + i] = rounding_error(node.weights[i]);
    }
    result.weights = std::move(weights);
    return result;
  }

  void run_row(const Pixels& in, int y, float* sums, float* out) const {
    const int next_row = std::min(y + 1 + reach_, in.height - 1);
    for (int first = 0; first < in.width; first += kRun) {
      const int count = std::min(kRun, in.width - first), tiles = (count + kTilePixels - 1) / kTilePixels;
      const AddressRange next{reinterpret_cast<const char*>(in.at(next_row, first)),
                              reinterpret_cast<const char*>(in.at(next_row, first + count))};
      kernels().bf16.multiply({in.at(y, first),
                               in.pixel,
                               offsets_.data(),
                               static_cast<int>(offsets_.size()),
                               steps_.depth,
                               tiles,
                               weights_.as<Bf16>(),
                               1,
                               sums,
                               {next, {}, {}}},
                              nullptr);
      for (int o = 0; o < out_.shape.channels; ++o) {
        float* row = out + o * out_.plane() + static_cast<std::ptrdiff_t>(y) * in.width + first;
        for (int i = 0; i < count; ++i) {
          const float value = sums[i * kBlock + o] + sums[i * kBlock + kLow + o] + bias_[o];
          row[i] = step_.relu && value < 0.0f ? 0.0f : value;
        }
      }
    }
  }

  TileSteps steps_;
  int reach_;  // rows below a pixel's that it depends on
  std::vector<std::ptrdiff_t> offsets_;
  Buffer weights_;
  float bias_[kBlock];
};

}  // namespace

std::unique_ptr<Layer> make_dot(const Plan& plan, const Step& step) { return std::make_unique<DotLayer>(plan, step); }

}  // namespace rmbg::cpu
