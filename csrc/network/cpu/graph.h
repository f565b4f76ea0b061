// SPDX-License-Identifier: Apache-2.0
// A network as imported: values of static shape, and the few kinds of layers that U²-Nets have. Batch 1; convolutions
// have stride 1 and "same" zero padding. The methods check shapes as the graph grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rmbg::cpu {

enum class OpKind {
  kConv,
  kMaxPool,
  kConcat,
  kResize,
  kAdd,
  kRelu,
  kSigmoid,
  /* made by the plan only: */ kCopy,
  kSplit
};

/// How Resize maps an output column to an input column.
enum class Coordinates {
  kHalfPixel,         // (x + 1/2) * in / out - 1/2
  kPytorchHalfPixel,  // the same, but 0 where the output is one pixel
  kAlignCorners       // x * (in - 1) / (out - 1)
};

struct Shape {
  int channels = 0, height = 0, width = 0;
  bool operator==(const Shape& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
};

/// Numbers of a layer, in memory of their own or in a file that is mapped into memory. Copies share them.
class Weights {
 public:
  Weights() = default;
  Weights(std::vector<float> values) {  // NOLINT: implicit on purpose
    const auto own = std::make_shared<const std::vector<float>>(std::move(values));
    data_ = own->data();
    size_ = own->size();
    owner_ = own;
  }
  /// `owner` keeps the memory.
  Weights(const float* data, std::size_t size, std::shared_ptr<const void> owner)
      : data_(data), size_(size), owner_(std::move(owner)) {}

  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  float operator[](std::size_t index) const { return data_[index]; }

 private:
  const float* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> owner_;
};

struct Node {
  OpKind kind;
  std::vector<int> inputs;
  int output = -1;
  // Convolution:
  int kernel = 0, dilation = 1;
  Weights weights{};          // (cout, cin, kernel, kernel)
  std::vector<float> bias{};  // (cout)
  // Resize:
  Coordinates coordinates = Coordinates::kHalfPixel;
};

/// Values are numbered; 0 is the input. Methods return the new value; they throw std::invalid_argument.
class Graph {
 public:
  explicit Graph(Shape input);

  /// kernel 1 or 3; weights (cout, cin, kernel, kernel), bias (cout).
  int conv(int x, Weights weights, std::vector<float> bias, int kernel, int dilation);
  /// 2x2, stride 2, ceil mode: an odd last row or column is pooled alone.
  int max_pool(int x);
  int concat(std::vector<int> values);                                // along channels
  int resize(int x, int height, int width, Coordinates coordinates);  // bilinear
  int add(int a, int b);
  int relu(int x);
  int sigmoid(int x);
  void set_output(int value);

  int output() const { return output_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Shape& shape(int value) const { return shapes_.at(static_cast<std::size_t>(value)); }
  int values() const { return static_cast<int>(shapes_.size()); }

 private:
  int append(Node node, Shape shape);
  const Shape& checked(int value) const;

  std::vector<Shape> shapes_;
  std::vector<Node> nodes_;
  int output_ = -1;
};

std::string to_string(const Shape& shape);

}  // namespace rmbg::cpu
