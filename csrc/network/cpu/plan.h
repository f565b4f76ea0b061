// SPDX-License-Identifier: Apache-2.0
// From a graph to a list of steps: what is fused, which convolution algorithm runs where, and where every
// activation lies. Concatenation is free: producers write into slices of its memory. Memory is reused as soon as
// the last reader has run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "network/cpu/graph.h"

namespace rmbg::cpu {

/// Tensors with at most this many channels are planar (NCHW); the others are blocked (see kernels.h).
constexpr int kPlanarChannels = 8;

enum class ConvMethod { kWinograd2, kWinograd4, kWinograd6, kDirect };

struct Tensor {
  Shape shape;
  bool planar = false;
  int external = -1;       // 0: the network's input, 1: its output, -1: in the arena
  int parent = -1;         // the concatenation that it is a slice of
  int first_channel = 0;   // in the parent
  std::size_t offset = 0;  // in the arena, in floats

  int blocks() const { return (shape.channels + 15) / 16; }
  std::int64_t plane() const { return static_cast<std::int64_t>(shape.height) * shape.width; }
  /// Floats, the padding of the last block included.
  std::int64_t size() const { return plane() * (planar ? shape.channels : blocks() * 16); }
};

struct Step {
  OpKind kind;
  std::vector<int> inputs;  // tensors
  int output = -1;
  const Node* node = nullptr;  // of the graph
  // Convolution:
  ConvMethod method = ConvMethod::kDirect;
  bool relu = false;
  int residual = -1;
  int pooled = -1;
  // Copy:
  int first_channel = 0;  // of the output
};

struct Plan {
  std::vector<Tensor> tensors;
  std::vector<Step> steps;
  std::size_t arena_floats = 0;
};

/// The plan keeps pointers into the graph. Throws std::invalid_argument when the graph has no output.
Plan make_plan(const Graph& graph);

/// The cheapest way to run a 3x3 convolution on this shape.
ConvMethod choose_method(const Shape& in, int cout, int dilation);

/// Gives every tensor its offset; called by make_plan.
void place_tensors(Plan& plan);

}  // namespace rmbg::cpu
