// SPDX-License-Identifier: Apache-2.0
// Places the tensors. Tensors that are never alive together share memory: largest first, each at the lowest offset that
// is free for its whole life (greedy by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020).
#include <algorithm>
#include <numeric>

#include "network/cpu/bf16.h"
#include "network/cpu/plan.h"

namespace rmbg::cpu {
namespace {

struct Life {
  int first = -1, last = -1;
  bool overlaps(const Life& other) const { return first <= other.last && other.first <= last; }
};

std::vector<Life> find_lives(const Plan& plan) {
  std::vector<Life> lives(plan.tensors.size());
  const auto touch = [&](int tensor, const Life& time) {
    if (tensor < 0) return;
    Life& life = lives[static_cast<std::size_t>(root_of(plan, tensor))];
    if (life.first < 0) life.first = time.first;
    life.last = time.last;
  };
  std::vector<Life> times;  // of each step; those of a chain run at the same time
  for (int i = 0; i < static_cast<int>(plan.steps.size()); ++i) times.push_back({i, i});
  for (const Chain& chain : plan.chains) {
    const int first = static_cast<int>(chain.first), last = first + static_cast<int>(chain.lead.size()) - 1;
    std::fill(times.begin() + first, times.begin() + last + 1, Life{first, last});
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    for (const int input : step.inputs) touch(input, times[i]);
    touch(step.output, times[i]);
    touch(step.residual, times[i]);
    touch(step.pooled, times[i]);
  }
  return lives;
}

}  // namespace

std::size_t Tensor::bytes() const {
  if (layout != Layout::kPixels) return static_cast<std::size_t>(size()) * sizeof(float);
  const auto side = [&](int pixels) { return static_cast<std::size_t>(pixels + 2 * border); };
  return (side(shape.height) * side(shape.width) + kGuardPixels) * static_cast<std::size_t>(pixel()) * sizeof(Bf16);
}

int root_of(const Plan& plan, int tensor) {
  while (plan.tensors[static_cast<std::size_t>(tensor)].parent >= 0)
    tensor = plan.tensors[static_cast<std::size_t>(tensor)].parent;
  return tensor;
}

void place_tensors(Plan& plan) {
  constexpr std::size_t kLine = 64;  // bytes of a cache line
  const std::vector<Life> lives = find_lives(plan);
  std::vector<std::size_t> order(plan.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return plan.tensors[a].bytes() > plan.tensors[b].bytes(); });

  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t index : order) {
    Tensor& tensor = plan.tensors[index];
    if (tensor.external >= 0 || tensor.parent >= 0 || lives[index].first < 0) continue;
    const std::size_t size = (tensor.bytes() + kLine - 1) / kLine * kLine;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (!lives[index].overlaps(lives[other])) continue;
      const Tensor& neighbour = plan.tensors[other];
      if (offset + size <= neighbour.offset) break;
      const std::size_t end = neighbour.offset + neighbour.bytes();
      offset = std::max(offset, (end + kLine - 1) / kLine * kLine);
    }
    tensor.offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + size);
    const auto at = std::upper_bound(placed.begin(), placed.end(), offset, [&](std::size_t value, std::size_t other) {
      return value < plan.tensors[other].offset;
    });
    placed.insert(at, index);
  }
}

}  // namespace rmbg::cpu
