// SPDX-License-Identifier: Apache-2.0
// Parts, borders and bands of a chain.
#include "network/cpu/chain.h"

#include <algorithm>
#include <stdexcept>

#include "core/thread_pool.h"

namespace rmbg::cpu {

ChainRunner::ChainRunner(const Plan& plan, const Chain& chain, const std::vector<std::unique_ptr<Layer>>& layers)
    : height_(plan.tensors[static_cast<std::size_t>(plan.steps[chain.first].output)].shape.height),
      band_rows_(chain.band_rows) {
  for (std::size_t i = 0; i < chain.lead.size(); ++i) {
    const auto* layer = dynamic_cast<const RowLayer*>(layers[chain.first + i].get());
    if (layer == nullptr) throw std::logic_error("a chain has a layer that does not run by rows");
    members_.push_back({layer, chain.lead[i]});
    worker_floats_ = std::max(worker_floats_, layer->worker_floats());
  }
  const int longest = *std::max_element(chain.lead.begin(), chain.lead.end());
  const int parts = kPiecesPerWorker * parallel_workers(), least = 4 * longest + 8;  // borders must not meet
  part_rows_ = (std::max((height_ + parts - 1) / parts, least) + 1) / 2 * 2;
}

bool ChainRunner::worthwhile() const { return height_ >= part_rows_ * parallel_workers(); }

std::size_t ChainRunner::scratch_floats() const {
  return worker_floats_ * static_cast<std::size_t>(parallel_workers());
}

void ChainRunner::run(const Activations& activations) const {
  const int parts = (height_ + part_rows_ - 1) / part_rows_;
  const auto scratch = [&](int worker) {
    return activations.scratch + worker_floats_ * static_cast<std::size_t>(worker);
  };
  parallel_for_worker(parts - 1, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (int i = static_cast<int>(begin); i < end; ++i) run_border(activations, (i + 1) * part_rows_, scratch(worker));
  });
  parallel_for_worker(parts, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (int i = static_cast<int>(begin); i < end; ++i)
      run_part(activations, i * part_rows_, std::min((i + 1) * part_rows_, height_), scratch(worker));
  });
}

/// A layer's lead above and below the border: all that both parts need of it.
void ChainRunner::run_border(const Activations& activations, int border, float* scratch) const {
  for (const Member& member : members_)
    if (member.lead > 0)
      member.layer->run_rows(activations, border - member.lead, std::min(border + member.lead, height_), scratch);
}

void ChainRunner::run_part(const Activations& activations, int begin, int end, float* scratch) const {
  for (int row = begin; row < end; row += band_rows_) {
    for (const Member& member : members_) {
      const int last = end == height_ ? height_ : end - member.lead;
      const int from = row > begin || begin > 0 ? row + member.lead : 0;
      const int to = row + band_rows_ >= end ? last : std::min(row + band_rows_ + member.lead, last);
      if (from < to) member.layer->run_rows(activations, from, to, scratch);
    }
  }
}

}  // namespace rmbg::cpu
