// SPDX-License-Identifier: Apache-2.0
// Builds and checks the graph.
#include "network/cpu/graph.h"

#include <limits>
#include <stdexcept>
#include <utility>

namespace rmbg::cpu {
namespace {

constexpr int kMostChannels = 1 << 14;  // U^2-Net has 1024
constexpr int kLargestDilation = 4096;  // U^2-Net has 8

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

void check_size(const Shape& shape) {
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1)
    refuse("a tensor has shape " + to_string(shape) + "; every side must be at least 1");
  if (shape.channels > kMostChannels)
    refuse("a tensor has shape " + to_string(shape) + "; expected at most " + std::to_string(kMostChannels) +
           " channels");
  // The kernels use int offsets within a plane and 64 bits for whole tensors.
  if (static_cast<std::int64_t>(shape.height) * shape.width > std::numeric_limits<int>::max() / 64)
    refuse("a tensor has shape " + to_string(shape) + ", which is too large; use a smaller network size");
}

}  // namespace

std::string to_string(const Shape& shape) {
  return "(" + std::to_string(shape.channels) + ", " + std::to_string(shape.height) + ", " +
         std::to_string(shape.width) + ")";
}

Graph::Graph(Shape input) {
  check_size(input);
  shapes_.push_back(input);
}

const Shape& Graph::checked(int value) const {
  if (value < 0 || value >= values())
    refuse("value " + std::to_string(value) + " does not exist; there are " + std::to_string(values()));
  return shape(value);
}

int Graph::append(Node node, Shape shape) {
  check_size(shape);
  node.output = values();
  nodes_.push_back(std::move(node));
  shapes_.push_back(shape);
  return values() - 1;
}

int Graph::conv(int x, Weights weights, std::vector<float> bias, int kernel, int dilation) {
  const Shape in = checked(x);
  if (kernel != 1 && kernel != 3) refuse("a convolution is " + std::to_string(kernel) + " wide; expected 1 or 3");
  if (dilation < 1 || dilation > kLargestDilation)
    refuse("a convolution's dilation is " + std::to_string(dilation) + "; expected 1 to " +
           std::to_string(kLargestDilation));
  const std::size_t expected = bias.size() * static_cast<std::size_t>(in.channels) * kernel * kernel;
  if (bias.empty() || weights.size() != expected)
    refuse("a convolution has " + std::to_string(weights.size()) + " weights; expected " + std::to_string(expected) +
           " = (" + std::to_string(bias.size()) + ", " + std::to_string(in.channels) + ", " + std::to_string(kernel) +
           ", " + std::to_string(kernel) + ")");
  Node node{OpKind::kConv, {x}};
  node.kernel = kernel;
  node.dilation = kernel == 1 ? 1 : dilation;
  node.weights = std::move(weights);
  node.bias = std::move(bias);
  const int channels = static_cast<int>(node.bias.size());
  return append(std::move(node), {channels, in.height, in.width});
}

int Graph::max_pool(int x) {
  const Shape in = checked(x);
  return append({OpKind::kMaxPool, {x}}, {in.channels, (in.height + 1) / 2, (in.width + 1) / 2});
}

int Graph::concat(std::vector<int> values) {
  if (values.empty()) refuse("a concatenation has no inputs");
  Shape shape = checked(values[0]);
  shape.channels = 0;
  for (const int value : values) {
    const Shape& in = checked(value);
    if (in.height != shape.height || in.width != shape.width)
      refuse("a concatenation joins " + to_string(in) + " with height " + std::to_string(shape.height) + " and width " +
             std::to_string(shape.width) + "; they must agree");
    shape.channels += in.channels;
    check_size(shape);  // each time, so that the sum cannot overflow
  }
  return append({OpKind::kConcat, std::move(values)}, shape);
}

int Graph::resize(int x, int height, int width, Coordinates coordinates) {
  Node node{OpKind::kResize, {x}};
  node.coordinates = coordinates;
  return append(std::move(node), {checked(x).channels, height, width});
}

int Graph::add(int a, int b) {
  if (!(checked(a) == checked(b)))
    refuse("a sum has terms of shape " + to_string(shape(a)) + " and " + to_string(shape(b)) + "; they must agree");
  return append({OpKind::kAdd, {a, b}}, shape(a));
}

int Graph::relu(int x) { return append({OpKind::kRelu, {x}}, Shape(checked(x))); }

int Graph::sigmoid(int x) { return append({OpKind::kSigmoid, {x}}, Shape(checked(x))); }

void Graph::set_output(int value) {
  checked(value);
  output_ = value;
}

}  // namespace rmbg::cpu
