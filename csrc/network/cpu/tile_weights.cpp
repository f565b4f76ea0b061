// SPDX-License-Identifier: Apache-2.0
// Steps are ordered by tap row, channels, tap column: neighbouring columns read nearly the same cache lines.
#include "network/cpu/tile_weights.h"

#include <algorithm>

#include "core/thread_pool.h"
#include "network/cpu/kernels.h"

namespace rmbg::cpu {

TileSteps make_tile_steps(const Pixels& in, int blocks, int kernel, int dilation) {
  const bool two_pixels = blocks == 1 && kernel == 3 && dilation == 1 && in.pixel == kBlock;
  TileSteps result{blocks > 1 || two_pixels ? 32 : 16, {}};
  for (int ky = 0; ky < kernel; ++ky) {
    const int row = ky * kernel;
    const auto offset = [&](int kx, int block) {
      return (ky - kernel / 2) * dilation * in.row() + (kx - kernel / 2) * dilation * in.pixel +
             static_cast<std::ptrdiff_t>(block) * kBlock;
    };
    if (two_pixels) {
      result.steps.push_back({offset(0, 0), {{row, 0}, {row + 1, 0}}});
      result.steps.push_back({offset(1, 0), {{}, {row + 2, 0}}});  // the pixel after the next may be outside
      continue;
    }
    for (int block = 0; block < blocks; block += 2) {
      const bool last = blocks > 1 && block + 1 == blocks;  // an odd last block: read the previous one again
      for (int kx = 0; kx < kernel; ++kx) {
        const int tap = row + kx;
        if (last)
          result.steps.push_back({offset(kx, block - 1), {{}, {tap, block}}});
        else
          result.steps.push_back({offset(kx, block), {{tap, block}, {tap, block + 1}}});
      }
    }
  }
  return result;
}

Node split_inputs(const Node& node) {
  Node result{OpKind::kConv, {}};
  result.kernel = node.kernel;
  result.dilation = node.dilation;
  result.bias = node.bias;
  std::vector<float> weights;
  const std::size_t per_output = node.weights.size() / node.bias.size();  // channels * taps
  for (std::size_t o = 0; o < node.bias.size(); ++o)
    for (int part = 0; part < 3; ++part)
      for (std::size_t i = 0; i < per_output; ++i) {
        const float weight = node.weights[o * per_output + i];
        weights.push_back(part < 2 ? weight : rounding_error(weight));
      }
  result.weights = std::move(weights);
  return result;
}

void pack_tile_weights(const Node& node, const TileSteps& steps, Groups groups, Bf16* out) {
  const int cout = static_cast<int>(node.bias.size()), taps = node.kernel * node.kernel;
  const int cin = static_cast<int>(node.weights.size()) / (cout * taps);
  const std::size_t step_values = static_cast<std::size_t>(steps.depth) * kBlock;

  /// Half h of a step for one output, which stands at column o of its block.
  const auto pack_half = [&](StepHalf half, int h, const float* weights, int o, Bf16* block) {
    for (int k = 0; k < kBlock && half.block * kBlock + k < cin; ++k) {
      const int row = (h * kBlock + k) / 2, channel = half.block * kBlock + k;
      block[(row * kBlock + o) * 2 + k % 2] = to_bf16(weights[static_cast<std::ptrdiff_t>(channel) * taps + half.tap]);
    }
  };
  parallel_for(groups.count(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (int group = static_cast<int>(begin); group < end; ++group) {
      Bf16* next = out + steps.steps.size() * step_values * group * groups.group;
      for (const TileStep& step : steps.steps)
        for (int block = 0; block < groups.size(group); ++block, next += step_values) {
          std::fill(next, next + step_values, Bf16{0});
          const int first = (group * groups.group + block) * kBlock;
          for (int o = first; o < first + kBlock && o < cout; ++o)
            for (int h = 0; h < steps.depth / kBlock; ++h)
              if (step.halves[h].tap >= 0)
                pack_half(step.halves[h], h, node.weights.data() + static_cast<std::size_t>(o) * cin * taps, o - first,
                          next);
        }
    }
  });
}

}  // namespace rmbg::cpu
