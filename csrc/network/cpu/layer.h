// SPDX-License-Identifier: Apache-2.0
// A step ready to run, with weights packed for this CPU's kernels. All slots share the immutable layers; Activations
// holds the memory of a run.
#pragma once

#include <cstddef>
#include <memory>

#include "network/cpu/bf16.h"
#include "network/cpu/plan.h"

namespace rmbg::cpu {

/// A tensor of Layout::kPixels in an arena; with null, only its layout.
Pixels pixels_of(const Plan& plan, int tensor, char* arena);

/// The memory of one network instance.
struct Activations {
  const Plan* plan;
  char* arena;
  float* external[2];  // the bound input and output
  float* scratch;

  /// For a planar or blocked tensor.
  float* data(int tensor) const {
    const Tensor& t = plan->tensors[static_cast<std::size_t>(tensor)];
    if (t.parent >= 0) return data(t.parent) + t.first_channel * t.plane();
    return t.external >= 0 ? external[t.external] : reinterpret_cast<float*>(arena + t.offset);
  }

  /// For a tensor of Layout::kPixels.
  Pixels pixels(int tensor) const { return pixels_of(*plan, tensor, arena); }
};

class Layer {
 public:
  Layer(const Plan& plan, const Step& step)
      : step_(step), in_(plan.tensors[step.inputs[0]]), out_(plan.tensors[step.output]) {
    step_.node = nullptr;  // the graph does not outlive construction
  }
  virtual ~Layer() = default;
  virtual void run(const Activations& activations) const = 0;
  /// Scratch of run(), for all workers together.
  virtual std::size_t scratch_floats() const { return 0; }

 protected:
  Step step_;
  Tensor in_, out_;  // the first input, the output
};

/// A layer that can compute some rows of its output at a time, in any order. By itself it runs in long bands, so that
/// each row of its input is read by one core.
class RowLayer : public Layer {
 public:
  using Layer::Layer;
  /// Computes rows [begin, end) of the output, and of the pooled one; `begin` is even. Each row once.
  /// scratch: worker_floats() of them.
  virtual void run_rows(const Activations& activations, int begin, int end, float* scratch) const = 0;
  virtual std::size_t worker_floats() const = 0;

  void run(const Activations& activations) const override;
  std::size_t scratch_floats() const override;
};

/// Pieces that rows are split into, so that a slow worker does not keep the others waiting.
constexpr int kPiecesPerWorker = 4;

std::unique_ptr<Layer> make_layer(const Plan& plan, const Step& step);

// The families behind make_layer.
std::unique_ptr<Layer> make_winograd(const Plan& plan, const Step& step);      // conv_winograd.cpp
std::unique_ptr<Layer> make_direct(const Plan& plan, const Step& step);        // conv_direct.cpp: to blocked
std::unique_ptr<Layer> make_planar(const Plan& plan, const Step& step);        // conv_planar.cpp: to planar
std::unique_ptr<Layer> make_resize(const Plan& plan, const Step& step);        // resize.cpp
std::unique_ptr<Layer> make_tiles(const Plan& plan, const Step& step);         // conv_tiles.cpp: bf16 to bf16
std::unique_ptr<Layer> make_dot(const Plan& plan, const Step& step);           // conv_dot.cpp: bf16 to planar
std::unique_ptr<Layer> make_pixel_resize(const Plan& plan, const Step& step);  // resize.cpp: bf16
std::unique_ptr<Layer> make_pixel_layer(const Plan& plan, const Step& step);   // pixel_layers.cpp: the rest of bf16

/// Splits `count` channels after every `group` blocks of 16: how weights are packed for Kernels::gemm.
struct Groups {
  int blocks, group;
  int count() const { return (blocks + group - 1) / group; }
  int size(int index) const { return index + 1 < count() ? group : blocks - index * group; }
};

/// The bias, padded to whole blocks with zeros.
void pack_bias(const Node& node, int blocks, float* out);

}  // namespace rmbg::cpu
