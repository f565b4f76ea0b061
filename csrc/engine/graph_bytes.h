// SPDX-License-Identifier: Apache-2.0
// A CPU network's graph as the sections "graph" and "weights" of a model file. "graph" is a list of u32: channels,
// height and width of the input, number of layers, output value; then each layer: kind (1 conv, 2 max pool, 3 concat,
// 4 resize, 5 add, 6 ReLU, 7 sigmoid), number of inputs, inputs, and
//   of a convolution: kernel, dilation, output channels, offset of the weights and of the bias in "weights", both / 64
//   of a resize: height, width, coordinates (0 half pixel, 1 PyTorch's half pixel, 2 aligned corners)
// Layer i computes value i + 1; value 0 is the input. "weights" holds float32 arrays, 64-byte aligned.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/sections.h"
#include "network/cpu/graph.h"

namespace rmbg {

struct GraphBytes {
  std::vector<std::uint8_t> graph, weights;
};

/// Throws std::invalid_argument if the graph has no output.
GraphBytes to_bytes(const cpu::Graph& graph);

/// Reads and checks a graph. Its weights stay where they are, and `owner` keeps them. Throws ModelError.
cpu::Graph read_graph(const Section& graph, const Section& weights, std::shared_ptr<const void> owner);

}  // namespace rmbg
