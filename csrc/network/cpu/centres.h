// SPDX-License-Identifier: Apache-2.0
// Centres of bf16 activations (bf16.h): setting them, and what layers need of their output's and input's.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {

/// The tensors with a centre of their own, in the order of a table of centres: outputs of convolutions, sums and
/// activation functions. Others, such as pooled tensors, keep the centre of their source.
std::vector<int> centred_tensors(const Plan& plan);

/// Sets all centres from a table: one float per channel, tensor after tensor. An empty table means zeros. Throws
/// std::invalid_argument if its size does not match the plan.
void set_centres(Plan& plan, const std::vector<float>& table);

/// What to add to a step's output before rounding, and what its border holds.
class OutputCentre {
 public:
  OutputCentre(const Plan& plan, const Step& step);

  /// Minus the centre, plus the residual's centre if there is one; from a block's first channel.
  const float* shift(int channel) const { return shift_.as<float>() + channel; }
  const Bf16* border(int channel) const { return border_.data() + channel; }

 private:
  Buffer shift_;
  std::vector<Bf16> border_;
};

/// Appends the mean of each channel of a tensor of Layout::kPixels.
void append_means(const Activations& activations, int tensor, std::vector<float>& means);

/// The bias, padded to whole blocks with zeros, plus the contribution of the input's centre. It is computed with the
/// exact weights, so rounding them only affects an activation's distance from its centre.
void pack_centred_bias(const Node& node, const Tensor& input, int blocks, float* out);

/// What a FinishTask adds and clamps to, for all blocks of channels: bias, ReLU and the output's centre.
class Finish {
 public:
  /// bias: of the convolution, of whole blocks.
  Finish(const float* bias, bool relu, const OutputCentre& centre, int blocks);

  const float* bias(int channel) const { return values_.as<float>() + channel; }
  const float* floor(int channel) const { return values_.as<float>() + channels_ + channel; }

 private:
  Buffer values_;
  int channels_;
};

}  // namespace rmbg::cpu
