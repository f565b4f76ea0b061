// SPDX-License-Identifier: Apache-2.0
// Fusion and aliasing. A convolution absorbs the ReLU, the sum and the pooling after it, so that a map is read and
// written once.
#include "network/cpu/plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "network/cpu/kernels.h"

namespace rmbg::cpu {
namespace {

// Costs in multiply-adds (measured): one weight read from memory, and one value that a transform reads or writes.
constexpr double kPerWeight = 30.0;
constexpr double kPerTransformed = 5.0;

double winograd_cost(const Shape& in, int cout, int dilation, int m) {
  const auto tiles = [&](int size) { return ((size + dilation - 1) / dilation + m - 1) / m * dilation; };
  const double frequencies = (m + 2.0) * (m + 2.0);
  const double count = static_cast<double>(tiles(in.height)) * tiles(in.width) * frequencies;
  const double weights = frequencies * in.channels * cout;
  return count * in.channels * cout + kPerTransformed * count * (in.channels + cout) + kPerWeight * weights;
}

/// Taps above or below the map are skipped.
double direct_cost(const Shape& in, int cout, int dilation) {
  const int outside = dilation < in.height ? dilation : in.height;
  const double rows = 3.0 * in.height - 2.0 * outside;
  const double weights = 9.0 * in.channels * cout;
  return rows * in.width * 3.0 * in.channels * cout + kPerWeight * weights;
}

/// The cheapest algorithm of a 3x3 convolution. Winograd's F(m x m) multiplies less as m grows, but its weights grow to
/// (m + 2)^2 / 9 of the original, and on small maps reading them costs more than the arithmetic.
ConvMethod choose_method(const Shape& in, int cout, int dilation) {
  ConvMethod best = ConvMethod::kDirect;
  double cost = direct_cost(in, cout, dilation);
  const auto consider = [&](ConvMethod method, double other) {
    if (other < cost) {
      cost = other;
      best = method;
    }
  };
  consider(ConvMethod::kWinograd2, winograd_cost(in, cout, dilation, 2));
  consider(ConvMethod::kWinograd4, winograd_cost(in, cout, dilation, 4));
  return best;
}

class Planner {
 public:
  Planner(const Graph& graph, Precision precision) : graph_(graph), precision_(precision) {
    if (graph.output() < 0) throw std::invalid_argument("the graph has no output; call set_output");
    find_needed();
    for (int value = 0; value < graph.values(); ++value) {
      Tensor tensor;
      tensor.shape = graph.shape(value);
      if (tensor.shape.channels > kPlanarChannels)
        tensor.layout = precision == Precision::kBf16 ? Layout::kPixels : Layout::kBlocked;
      plan_.tensors.push_back(tensor);
    }
  }

  Plan make() {
    bring_in_input();
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i)
      if (needed_[i] && !fused_[i]) add_step(graph_.nodes()[i]);
    bring_out_output();
    alias_concatenations();
    if (precision_ == Precision::kBf16) {
      add_borders();
      plan_.chains = find_chains(plan_);
    }
    place_tensors(plan_);
    return std::move(plan_);
  }

 private:
  Tensor& tensor(int value) { return plan_.tensors[static_cast<std::size_t>(value)]; }

  /// Marks the nodes that the output depends on, and counts each value's readers among them.
  void find_needed() {
    needed_.assign(graph_.nodes().size(), false);
    fused_.assign(graph_.nodes().size(), false);
    readers_.assign(static_cast<std::size_t>(graph_.values()), {});
    std::vector<bool> wanted(static_cast<std::size_t>(graph_.values()), false);
    wanted[static_cast<std::size_t>(graph_.output())] = true;
    for (int i = static_cast<int>(graph_.nodes().size()) - 1; i >= 0; --i) {
      const Node& node = graph_.nodes()[static_cast<std::size_t>(i)];
      if (!wanted[static_cast<std::size_t>(node.output)]) continue;
      needed_[static_cast<std::size_t>(i)] = true;
      for (const int input : node.inputs) {
        wanted[static_cast<std::size_t>(input)] = true;
        readers_[static_cast<std::size_t>(input)].push_back(i);
      }
    }
  }

  /// The value's only reader if it is of this kind, or null.
  const Node* only_reader(int value, OpKind kind) const {
    const auto& readers = readers_[static_cast<std::size_t>(value)];
    if (readers.size() != 1 || value == graph_.output()) return nullptr;
    const Node& node = graph_.nodes()[static_cast<std::size_t>(readers[0])];
    return node.kind == kind ? &node : nullptr;
  }

  void mark_fused(const Node& node) { fused_[static_cast<std::size_t>(&node - graph_.nodes().data())] = true; }

  bool is_ready(int value) const {
    if (value == 0) return true;
    for (const Step& step : plan_.steps)
      if (step.output == value || step.pooled == value) return true;
    return false;
  }

  void add_step(const Node& node) {
    Step step{node.kind, node.inputs, node.output, &node};
    if (node.kind == OpKind::kConv && splits(node)) step.inputs[0] = add_split(node.inputs[0]);
    if (node.kind == OpKind::kConv) fuse(node, step);
    plan_.steps.push_back(std::move(step));
  }

  /// Whether a convolution's few planar channels become three times as many in bf16, with which tiles multiply about as
  /// precisely as float arithmetic, but faster.
  bool splits(const Node& node) {
    const Tensor &in = tensor(node.inputs[0]), &out = tensor(node.output);
    return kernels().bf16.tiles && in.planar() && out.layout == Layout::kPixels && 3 * in.shape.channels <= kBlock;
  }

  int add_split(int source) {
    Tensor split;
    split.shape = tensor(source).shape;
    split.shape.channels *= 3;
    split.layout = Layout::kPixels;
    split.split = true;
    plan_.tensors.push_back(split);
    const int index = static_cast<int>(plan_.tensors.size()) - 1;
    plan_.steps.push_back({OpKind::kSplit, {source}, index});
    return index;
  }

  void fuse(const Node& node, Step& step) {
    const Tensor& in = tensor(step.inputs[0]);
    const Tensor& out = tensor(node.output);
    const bool wide = !in.planar() && !out.planar(), tiles = wide && precision_ == Precision::kBf16;
    if (tiles) step.method = ConvMethod::kTiles;
    if (wide && !tiles && node.kernel == 3) step.method = choose_method(in.shape, out.shape.channels, node.dilation);
    if (const Node* relu = only_reader(step.output, OpKind::kRelu)) {
      step.relu = true;
      step.output = relu->output;
      mark_fused(*relu);
    }
    if (!out.planar()) fuse_sum(step);
    if (tiles || (step.method != ConvMethod::kDirect && node.dilation == 1)) fuse_pool(step);
  }

  void fuse_sum(Step& step) {
    const Node* sum = only_reader(step.output, OpKind::kAdd);
    if (sum == nullptr) return;
    const int other = sum->inputs[0] == step.output ? sum->inputs[1] : sum->inputs[0];
    if (!is_ready(other) || other == step.output) return;
    step.residual = other;
    step.output = sum->output;
    mark_fused(*sum);
  }

  void fuse_pool(Step& step) {
    for (const int reader : readers_[static_cast<std::size_t>(step.output)]) {
      const Node& node = graph_.nodes()[static_cast<std::size_t>(reader)];
      if (node.kind != OpKind::kMaxPool || step.pooled >= 0) continue;
      step.pooled = node.output;
      mark_fused(node);
    }
  }

  /// The pipeline's memory is planar; wide inputs and outputs are converted.
  void bring_in_input() {
    if (tensor(0).planar() && graph_.output() != 0) {
      tensor(0).external = 0;
      return;
    }
    plan_.steps.push_back({OpKind::kCopy, {add_external(0, 0)}, 0});
  }

  void bring_out_output() {
    const int output = graph_.output();
    if (tensor(output).planar() && tensor(output).external < 0 && output != 0) {
      tensor(output).external = 1;
      return;
    }
    const int copy = add_external(output, 1);
    plan_.steps.push_back({OpKind::kCopy, {output}, copy});
  }

  int add_external(int like, int external) {
    Tensor copy;
    copy.shape = tensor(like).shape;
    copy.external = external;
    plan_.tensors.push_back(copy);
    return static_cast<int>(plan_.tensors.size()) - 1;
  }

  /// Turns concatenations into slices where the layout allows it, and into copies elsewhere.
  void alias_concatenations() {
    std::vector<Step> steps;
    for (Step& step : plan_.steps) {
      if (step.kind != OpKind::kConcat) {
        steps.push_back(std::move(step));
        continue;
      }
      int channel = 0;
      for (const int input : step.inputs) {
        if (!try_alias(input, step.output, channel)) {
          Step copy{OpKind::kCopy, {input}, step.output};
          copy.first_channel = channel;
          steps.push_back(copy);
        }
        channel += tensor(input).shape.channels;
      }
    }
    plan_.steps = std::move(steps);
  }

  bool try_alias(int input, int output, int channel) {
    Tensor& in = tensor(input);
    const Tensor& out = tensor(output);
    if (in.external >= 0 || in.parent >= 0 || in.layout != out.layout) return false;
    if (!in.planar() && (channel % 16 != 0 || in.shape.channels % 16 != 0)) return false;
    in.parent = output;
    in.first_channel = channel;
    return true;
  }

  /// Convolutions read taps without checking for edges, so their input has a border as wide as they reach.
  void add_borders() {
    constexpr int kMaxBorder = 64;  // limits memory; U²-Net needs 8 pixels
    for (const Step& step : plan_.steps) {
      if (step.kind != OpKind::kConv || step.node->kernel == 1 || tensor(step.inputs[0]).planar()) continue;
      const int reach = step.reach();
      if (reach > kMaxBorder)
        throw std::invalid_argument("a convolution's dilation is " + std::to_string(reach) + "; expected at most " +
                                    std::to_string(kMaxBorder) + " in bf16");
      int& border = tensor(root_of(plan_, step.inputs[0])).border;
      border = std::max(border, reach);
    }
  }

  const Graph& graph_;
  Precision precision_;
  Plan plan_;
  std::vector<bool> needed_, fused_;
  std::vector<std::vector<int>> readers_;
};

}  // namespace

Plan make_plan(const Graph& graph, Precision precision) { return Planner(graph, precision).make(); }

}  // namespace rmbg::cpu
