// SPDX-License-Identifier: Apache-2.0
// Finds the chains of a bf16 plan: neighbouring steps on large maps, each of which can compute a few rows at a time.
#include <algorithm>

#include "network/cpu/plan.h"

namespace rmbg::cpu {
namespace {

constexpr std::size_t kMinBytes = std::size_t{1} << 20;        // maps smaller than this stay in the L2 cache anyway
constexpr std::size_t kMaxWeightBytes = std::size_t{1} << 19;  // larger weights would push the rows out of it
constexpr std::size_t kResidentBytes = std::size_t{3} << 18;   // of the rows that a band works on
constexpr int kMaxBandRows = 16;

class ChainFinder {
 public:
  explicit ChainFinder(const Plan& plan) : plan_(plan) {}

  std::vector<Chain> find() const {
    std::vector<Chain> chains;
    for (std::size_t first = 0; first < plan_.steps.size();) {
      std::size_t end = first;
      while (end < plan_.steps.size() && fits(first, end)) ++end;
      if (end > first + 1) chains.push_back(make(first, end));
      first = std::max(end, first + 1);
    }
    return chains;
  }

 private:
  const Tensor& tensor(int index) const { return plan_.tensors[static_cast<std::size_t>(index)]; }
  const Step& step(std::size_t index) const { return plan_.steps[index]; }

  bool by_rows(const Step& step) const {
    const Tensor &in = tensor(step.inputs[0]), &out = tensor(step.output);
    if (step.kind == OpKind::kSplit) return true;
    if (step.kind == OpKind::kResize) return out.layout == Layout::kPixels;
    if (step.kind != OpKind::kConv || (in.layout != Layout::kPixels && out.layout != Layout::kPixels)) return false;
    return step.node->weights.size() * sizeof(std::uint16_t) <= kMaxWeightBytes;
  }

  /// Whether a step can join those from `first` on: a map of the same size that does not depend on another size's map
  /// which the chain makes.
  bool fits(std::size_t first, std::size_t index) const {
    const Step& candidate = step(index);
    const Tensor& out = tensor(candidate.output);
    if (!by_rows(candidate) || std::max(out.bytes(), tensor(candidate.inputs[0]).bytes()) < kMinBytes) return false;
    for (std::size_t i = first; i < index; ++i) {
      const Shape& size = tensor(step(i).output).shape;
      if (size.height != out.shape.height || size.width != out.shape.width) return false;
      for (const int input : candidate.inputs)
        if (step(i).pooled >= 0 && root_of(plan_, step(i).pooled) == root_of(plan_, input)) return false;
    }
    return true;
  }

  /// Rows below its own that `reader` needs of what `writer` makes, or -1 if it reads none of it.
  int needed(const Step& reader, const Step& writer) const {
    const int made = root_of(plan_, writer.output);
    int rows = -1;
    for (const int input : reader.inputs)
      if (root_of(plan_, input) == made) rows = reader.kind == OpKind::kConv ? reader.reach() : 0;
    if (reader.residual >= 0 && root_of(plan_, reader.residual) == made) rows = std::max(rows, 0);
    return rows;
  }

  Chain make(std::size_t first, std::size_t end) const {
    Chain chain{first, std::vector<int>(end - first, 0), 0};
    std::size_t row_bytes = 0;
    for (std::size_t i = end; i-- > first;) {
      int& lead = chain.lead[i - first];
      for (std::size_t reader = i + 1; reader < end; ++reader) {
        const int rows = needed(step(reader), step(i));
        if (rows >= 0) lead = std::max(lead, chain.lead[reader - first] + rows);
      }
      lead = (lead + 1) / 2 * 2;  // pooling takes pairs
      const Tensor& out = tensor(step(i).output);
      row_bytes += out.bytes() / static_cast<std::size_t>(out.shape.height);
    }
    const int rows = static_cast<int>(kResidentBytes / row_bytes) - chain.lead[0];
    chain.band_rows = std::clamp(rows / 2 * 2, 2, kMaxBandRows);
    return chain;
  }

  const Plan& plan_;
};

}  // namespace

std::vector<Chain> find_chains(const Plan& plan) { return ChainFinder(plan).find(); }

}  // namespace rmbg::cpu
