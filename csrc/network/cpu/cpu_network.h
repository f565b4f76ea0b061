// SPDX-License-Identifier: Apache-2.0
// The CPU network: fp32 with Winograd convolutions, or bf16 with tiles. Slots share a CpuModel; a CpuNetwork is one
// slot's memory.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/buffer.h"
#include "network/cpu/chain.h"
#include "network/cpu/graph.h"
#include "network/cpu/layer.h"
#include "network/cpu/plan.h"
#include "network/network.h"

namespace rmbg::cpu {

/// A compiled, immutable graph. Throws std::invalid_argument for a graph that it cannot run.
class CpuModel {
 public:
  /// centres: see set_centres(); must be empty for fp32.
  explicit CpuModel(const Graph& graph, Precision precision = Precision::kFp32, const std::vector<float>& centres = {});

  const NetworkSpec& spec() const { return spec_; }
  const Plan& plan() const { return plan_; }
  std::size_t scratch_floats() const;
  std::size_t layers() const { return layers_.size(); }
  void run_layer(std::size_t index, const Activations& activations) const { layers_[index]->run(activations); }

  /// A part of a run: a layer, or a chain of them.
  struct Part {
    std::size_t first, layers;
    std::optional<ChainRunner> chain;
  };
  const std::vector<Part>& parts() const { return parts_; }
  void run_part(const Part& part, const Activations& activations) const;

 private:
  void add_layers(std::size_t end);

  NetworkSpec spec_;
  Plan plan_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<Part> parts_;
};

class CpuNetwork : public Network {
 public:
  explicit CpuNetwork(std::shared_ptr<const CpuModel> model);

  const NetworkSpec& spec() const override { return model_->spec(); }
  void bind(const TensorView& input, const TensorView& output) override;
  void enqueue(Stream stream) override;
  bool capturable() const override { return false; }
  bool survives_fork() const override { return true; }

  /// Runs once in bf16 and returns the mean of every channel that has a centre, in the order of a table of centres. The
  /// result is a good table even if this network had none.
  std::vector<float> channel_means();

  /// Runs once and returns the time of each of the model's parts in ms.
  std::vector<double> profile();

 private:
  void check_bound() const;

  std::shared_ptr<const CpuModel> model_;
  Buffer arena_, scratch_;
  Activations activations_{};
};

/// A part in words, for reports.
std::string describe(const Plan& plan, const CpuModel::Part& part);

/// cpu_isa_name(cpu_isa()).
const char* isa();

}  // namespace rmbg::cpu
