// SPDX-License-Identifier: Apache-2.0
// Compiles a graph to a list of steps: fusion, the algorithm of each convolution, and the memory of each activation.
// Concatenation is free: producers write into slices of its memory. Memory is reused after its last reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "network/cpu/graph.h"

namespace rmbg::cpu {

/// Arithmetic of the convolutions.
enum class Precision { kFp32, kBf16 };

/// kPlanar: NCHW floats. kBlocked: see kernels.h. kPixels: bf16, the channels of a pixel side by side; see bf16.h.
enum class Layout { kPlanar, kBlocked, kPixels };

/// Tensors with at most this many channels are planar; the others are blocked in fp32 and pixels in bf16.
constexpr int kPlanarChannels = 8;

enum class ConvMethod { kWinograd2, kWinograd4, kWinograd6, kDirect, kTiles };

struct Tensor {
  Shape shape;
  Layout layout = Layout::kPlanar;
  int external = -1;       // 0: the network's input, 1: its output, -1: in the arena
  int parent = -1;         // the concatenation that it is a slice of
  int first_channel = 0;   // in the parent
  std::size_t offset = 0;  // in the arena, in bytes
  // Layout::kPixels:
  int border = 0;               // pixels on every side, for convolutions to read; a slice has its parent's
  std::vector<float> centre{};  // subtracted from each channel, padding included
  bool split = false;           // from planar channels: upper halves, lower halves, and upper halves again

  int blocks() const { return (shape.channels + 15) / 16; }
  std::int64_t plane() const { return static_cast<std::int64_t>(shape.height) * shape.width; }
  bool planar() const { return layout == Layout::kPlanar; }
  /// Of a planar or blocked tensor: floats side by side, and how many such planes.
  int lanes() const { return planar() ? 1 : 16; }
  int planes() const { return planar() ? shape.channels : blocks(); }
  /// Values, the padding of the last block included.
  std::int64_t size() const { return plane() * (planar() ? shape.channels : blocks() * 16); }
  std::ptrdiff_t pixel() const { return static_cast<std::ptrdiff_t>(blocks()) * 16; }
  /// Of memory, the border included.
  std::size_t bytes() const;
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

  /// Rows below and above its own that a convolution reads.
  int reach() const { return node->kernel / 2 * node->dilation; }
};

/// Steps that run in bands of rows (chain.h).
struct Chain {
  std::size_t first;      // step; the others follow
  std::vector<int> lead;  // rows that each step is ahead of the last one; even
  int band_rows;
};

struct Plan {
  std::vector<Tensor> tensors;
  std::vector<Step> steps;
  std::vector<Chain> chains;
  std::size_t arena_bytes = 0;
};

/// The plan points into the graph. Throws std::invalid_argument if the graph has no output.
Plan make_plan(const Graph& graph, Precision precision = Precision::kFp32);

/// The chains of a bf16 plan, first to last.
std::vector<Chain> find_chains(const Plan& plan);

/// Gives every tensor its offset; called by make_plan.
void place_tensors(Plan& plan);

/// The tensor that owns a tensor's memory: itself, or the concatenation it is a slice of.
int root_of(const Plan& plan, int tensor);

}  // namespace rmbg::cpu
