// SPDX-License-Identifier: Apache-2.0
// Runs the layers of a chain in bands of rows: the first layer computes a few rows, then the next one as many as it
// can, and so on, so that a map is read while it is still in the L2 cache.
//
// Workers take parts of the map. A layer needs rows beyond its part; those around the borders between parts are
// computed first, so that every row is written once, by one worker, and nobody waits.
#pragma once

#include <vector>

#include "network/cpu/layer.h"

namespace rmbg::cpu {

class ChainRunner {
 public:
  /// layers: of the whole plan; they outlive the runner.
  ChainRunner(const Plan& plan, const Chain& chain, const std::vector<std::unique_ptr<Layer>>& layers);

  /// Whether the map has enough rows for all workers. Otherwise the layers run one after the other.
  bool worthwhile() const;
  std::size_t scratch_floats() const;
  void run(const Activations& activations) const;

 private:
  struct Member {
    const RowLayer* layer;
    int lead;  // rows ahead of the last layer; even
  };
  void run_border(const Activations& activations, int border, float* scratch) const;
  void run_part(const Activations& activations, int begin, int end, float* scratch) const;

  std::vector<Member> members_;
  int height_, band_rows_, part_rows_;
  std::size_t worker_floats_ = 0;
};

}  // namespace rmbg::cpu
