// SPDX-License-Identifier: Apache-2.0
// The graph checks shapes as it grows; here the numbers are checked that could make it read elsewhere or grow absurdly.
#include "engine/graph_bytes.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/error.h"

namespace rmbg {
namespace {

using cpu::Node;
using cpu::OpKind;

constexpr std::uint32_t kMostLayers = 4096;  // U^2-Net has some 300
constexpr OpKind kKinds[] = {OpKind::kConv, OpKind::kMaxPool, OpKind::kConcat, OpKind::kResize,
                             OpKind::kAdd,  OpKind::kRelu,    OpKind::kSigmoid};  // 1, 2, ... in the file
constexpr cpu::Coordinates kCoordinates[] = {cpu::Coordinates::kHalfPixel, cpu::Coordinates::kPytorchHalfPixel,
                                             cpu::Coordinates::kAlignCorners};

template <typename T, std::size_t kCount>
std::uint32_t index_of(const T (&values)[kCount], T value) {
  for (std::uint32_t i = 0; i < kCount; ++i)
    if (values[i] == value) return i;
  throw std::invalid_argument("a layer of this kind cannot be written to a model file");
}

class Writer {
 public:
  explicit Writer(const cpu::Graph& graph) : graph_(graph) {}

  GraphBytes run() {
    if (graph_.output() < 0) throw std::invalid_argument("the graph has no output; call set_output");
    const cpu::Shape& input = graph_.shape(0);
    put(input.channels), put(input.height), put(input.width);
    put(graph_.nodes().size()), put(graph_.output());
    for (const Node& node : graph_.nodes()) put_node(node);
    return std::move(bytes_);
  }

 private:
  template <typename Number>
  void put(Number number) {
    const auto word = static_cast<std::uint32_t>(number);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&word);
    bytes_.graph.insert(bytes_.graph.end(), bytes, bytes + sizeof word);
  }

  void put_node(const Node& node) {
    put(index_of(kKinds, node.kind) + 1);
    put(node.inputs.size());
    for (const int input : node.inputs) put(input);
    if (node.kind == OpKind::kConv) {
      put(node.kernel), put(node.dilation), put(node.bias.size());
      put_floats(node.weights.data(), node.weights.size());
      put_floats(node.bias.data(), node.bias.size());
    } else if (node.kind == OpKind::kResize) {
      const cpu::Shape& shape = graph_.shape(node.output);
      put(shape.height), put(shape.width), put(index_of(kCoordinates, node.coordinates));
    }
  }

  void put_floats(const float* values, std::size_t count) {
    std::vector<std::uint8_t>& out = bytes_.weights;
    out.resize((out.size() + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment);
    put(out.size() / kSectionAlignment);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values);
    out.insert(out.end(), bytes, bytes + count * sizeof(float));
  }

  const cpu::Graph& graph_;
  GraphBytes bytes_;
};

bool all_finite(const float* values, std::size_t count) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  }
  return bad == 0;
}

class Reader {
 public:
  Reader(const Section& graph, const Section& weights, std::shared_ptr<const void> owner)
      : graph_(graph), weights_(weights), owner_(std::move(owner)), unused_(weights.bytes / sizeof(float)) {}

  cpu::Graph run() {
    try {
      const int channels = number(), height = number(), width = number();
      cpu::Graph graph({channels, height, width});
      const std::uint32_t layers = word();
      if (layers > kMostLayers)
        refuse("has " + std::to_string(layers) + " layers; expected at most " + std::to_string(kMostLayers));
      const int output = number();
      for (layer_ = 0; layer_ < static_cast<int>(layers); ++layer_) add(graph);
      layer_ = -1;
      graph.set_output(output);
      if (at_ != graph_.bytes) refuse("has bytes after the last layer");
      return graph;
    } catch (const std::invalid_argument& error) {
      refuse(error.what());
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    const std::string where = layer_ < 0 ? "" : ", layer " + std::to_string(layer_);
    throw ModelError("has a wrong graph" + where + ": " + reason + "; export the model again");
  }

  std::uint32_t word() {
    std::uint32_t value = 0;
    if (graph_.bytes - at_ < sizeof value) refuse("it ends early");
    std::memcpy(&value, graph_.data + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  int number() {
    const std::uint32_t value = word();
    if (value > 0x7fffffffu) refuse("a number is " + std::to_string(value));
    return static_cast<int>(value);
  }

  /// Arrays must not share memory, so that packed weights are never much larger than the file.
  const float* floats(std::uint64_t count) {
    const std::uint64_t offset = static_cast<std::uint64_t>(word()) * kSectionAlignment;
    if (offset > weights_.bytes || count > (weights_.bytes - offset) / sizeof(float) || count > unused_)
      refuse(std::to_string(count) + " weights at byte " + std::to_string(offset) + " do not fit the section of " +
             std::to_string(weights_.bytes) + " bytes");
    unused_ -= count;
    const auto* values = reinterpret_cast<const float*>(weights_.data + offset);
    if (!all_finite(values, static_cast<std::size_t>(count))) refuse("its weights hold NaN or Inf");
    return values;
  }

  void add(cpu::Graph& graph) {
    const std::uint32_t kind = word();
    if (kind < 1 || kind > std::size(kKinds)) refuse("its kind is " + std::to_string(kind) + "; expected 1 to 7");
    const std::uint32_t count = word();
    if (count > (graph_.bytes - at_) / sizeof(std::uint32_t)) refuse("it ends early");
    std::vector<int> inputs(count);
    for (int& input : inputs) input = number();
    const OpKind op = kKinds[kind - 1];
    const std::size_t expected = op == OpKind::kAdd ? 2 : 1;
    if (op != OpKind::kConcat && inputs.size() != expected)
      refuse("it has " + std::to_string(count) + " inputs; expected " + std::to_string(expected));
    switch (op) {
      case OpKind::kConv:
        add_conv(graph, inputs[0]);
        break;
      case OpKind::kMaxPool:
        graph.max_pool(inputs[0]);
        break;
      case OpKind::kConcat:
        graph.concat(std::move(inputs));
        break;
      case OpKind::kResize: {
        const int height = number(), width = number();
        const std::uint32_t coordinates = word();
        if (coordinates >= std::size(kCoordinates)) refuse("its coordinates are " + std::to_string(coordinates));
        graph.resize(inputs[0], height, width, kCoordinates[coordinates]);
        break;
      }
      case OpKind::kAdd:
        graph.add(inputs[0], inputs[1]);
        break;
      case OpKind::kRelu:
        graph.relu(inputs[0]);
        break;
      default:
        graph.sigmoid(inputs[0]);
    }
  }

  void add_conv(cpu::Graph& graph, int input) {
    const std::uint32_t kernel = word();
    const int dilation = number();
    const std::uint64_t cout = word();
    if (kernel != 1 && kernel != 3) refuse("it is " + std::to_string(kernel) + " wide; expected 1 or 3");
    if (input >= graph.values()) refuse("its input is value " + std::to_string(input) + ", which comes later");
    // At most 2^14 * 9 * 2^32.
    const std::uint64_t count = static_cast<std::uint64_t>(graph.shape(input).channels) * kernel * kernel * cout;
    const float* weights = floats(count);
    const float* bias = floats(cout);
    graph.conv(input, cpu::Weights(weights, static_cast<std::size_t>(count), owner_), {bias, bias + cout},
               static_cast<int>(kernel), dilation);
  }

  const Section &graph_, &weights_;
  std::shared_ptr<const void> owner_;
  std::uint64_t unused_;  // floats that no layer has taken
  std::size_t at_ = 0;
  int layer_ = -1;
};

}  // namespace

GraphBytes to_bytes(const cpu::Graph& graph) { return Writer(graph).run(); }

cpu::Graph read_graph(const Section& graph, const Section& weights, std::shared_ptr<const void> owner) {
  return Reader(graph, weights, std::move(owner)).run();
}

}  // namespace rmbg
