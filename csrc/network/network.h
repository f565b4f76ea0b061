// SPDX-License-Identifier: Apache-2.0
// The interface between pre- and postprocessing: four methods for any runtime. One instance serves one slot, so calls
// never overlap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/api.h"
#include "core/data_type.h"
#include "core/stream.h"

namespace rmbg {

/// Batch 1. The shape is NCHW for any layout in memory.
struct TensorSpec {
  std::string name;
  std::array<std::int64_t, 4> shape{};
  DataType dtype = DataType::kFloat32;
  Layout layout = Layout::kNchw;

  std::size_t bytes() const {
    return static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]) * size_of(dtype);
  }
};

/// Input (1, 3, H, W), normalized RGB; output (1, 1, h, w), the probability of foreground.
struct NetworkSpec {
  TensorSpec input;
  TensorSpec output;
};

/// Contiguous, 64-byte aligned memory of the pipeline. The shape is NCHW for any layout. device: the GPU, or -1.
struct TensorView {
  void* data = nullptr;
  std::array<std::int64_t, 4> shape{};
  DataType dtype = DataType::kFloat32;
  int device = -1;
  Layout layout = Layout::kNchw;
};

class RMBG_API Network {
 public:
  virtual ~Network() = default;

  virtual const NetworkSpec& spec() const = 0;

  /// Sets the memory that each later enqueue() reads and writes. It outlives the network's use.
  virtual void bind(const TensorView& input, const TensorView& output) = 0;

  /// Puts one run on the stream; on the CPU, runs to the end. Throws NetworkError.
  virtual void enqueue(Stream stream) = 0;

  /// Whether enqueue() may be recorded into a CUDA graph.
  virtual bool capturable() const = 0;

  /// The reason if it may not, for users.
  virtual std::string why_not_capturable() const { return "the network cannot be recorded into a graph"; }

  /// Whether a forked child may go on using it: it has no threads of its own and no GPU.
  virtual bool survives_fork() const { return false; }

  /// One run as a cudaGraph_t, for networks that record themselves; used instead of recording enqueue(). The network
  /// keeps ownership. nullptr if there is none.
  virtual void* graph() { return nullptr; }
};

}  // namespace rmbg
