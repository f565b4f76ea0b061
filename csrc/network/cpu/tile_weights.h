// SPDX-License-Identifier: Apache-2.0
// Splits a bf16 convolution into the steps of a tile product, and packs its weights for them.
#pragma once

#include <vector>

#include "network/cpu/layer.h"

namespace rmbg::cpu {

/// Sixteen values of a step: input channels 16 * block to 16 * block + 15 under one tap. tap -1: values to ignore, with
/// weights of 0.
struct StepHalf {
  int tap = -1, block = 0;
};

struct TileStep {
  std::ptrdiff_t offset;  // from a pixel, in values
  StepHalf halves[2];     // the second one counts only in steps of depth 32
};

struct TileSteps {
  int depth;  // values of a step: 16 or 32
  std::vector<TileStep> steps;
};

/// A step reads 32 neighbouring values of `in`: two blocks of channels, or two neighbouring pixels of a 16-channel
/// tensor. If neither is possible, steps are 16 deep.
TileSteps make_tile_steps(const Pixels& in, int blocks, int kernel, int dilation);

/// The convolution of a split tensor (Tensor::split): whole weights for both halves of the input, and the weights'
/// rounding errors for its upper halves.
Node split_inputs(const Node& node);

/// Packs to [group][step][block][depth / 2][16 outputs][2].
void pack_tile_weights(const Node& node, const TileSteps& steps, Groups groups, Bf16* out);

}  // namespace rmbg::cpu
