// SPDX-License-Identifier: Apache-2.0
// The plug between preprocessing and postprocessing: four methods, whatever runs behind them.
// Contract: one instance serves one slot, so calls never overlap on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/stream.h"

namespace rmbg {

enum class DataType { kFloat32, kFloat16 };

constexpr std::size_t size_of(DataType type) { return type == DataType::kFloat32 ? 4 : 2; }

/// NCHW, batch 1.
struct TensorSpec {
  std::string name;
  std::array<std::int64_t, 4> shape{};
  DataType dtype = DataType::kFloat32;

  std::size_t bytes() const {
    return static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]) * size_of(dtype);
  }
};

/// Input (1, 3, H, W), normalised RGB; output (1, 1, h, w), the foreground's probability.
struct NetworkSpec {
  TensorSpec input;
  TensorSpec output;
};

/// Contiguous NCHW memory, 64-byte aligned, owned by the pipeline.
struct TensorView {
  void* data = nullptr;
  std::array<std::int64_t, 4> shape{};
  DataType dtype = DataType::kFloat32;
};

class Network {
 public:
  virtual ~Network() = default;

  virtual const NetworkSpec& spec() const = 0;

  /// The memory to read from and write to at every enqueue() from now on. It outlives the network's use.
  virtual void bind(const TensorView& input, const TensorView& output) = 0;

  /// Puts one run on the stream. On the CPU it runs to the end. Throws NetworkError.
  virtual void enqueue(Stream stream) = 0;

  /// Whether enqueue() may be recorded into a CUDA graph.
  virtual bool capturable() const = 0;
};

}  // namespace rmbg
