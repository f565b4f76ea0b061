// SPDX-License-Identifier: Apache-2.0
// What a layer that writes bf16 needs of its output's centre, and a convolution of its input's.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {

/// Of a step's output: what to add before rounding, and what the border holds.
class OutputCentre {
 public:
  OutputCentre(const Plan& plan, const Step& step);

  /// Minus the centre, plus the residual's where the step has one: from a block's first channel on.
  const float* shift(int channel) const { return shift_.as<float>() + channel; }
  const Bf16* border(int channel) const { return border_.data() + channel; }

 private:
  Buffer shift_;
  std::vector<Bf16> border_;
};

/// Appends the mean of each channel of a tensor of Layout::kPixels.
void append_means(const Activations& activations, int tensor, std::vector<float>& means);

/// The bias, padded to whole blocks with zeros, plus what the input's centre gives: computed with the exact weights,
/// so rounding them only touches how far an activation is from its centre.
void pack_centred_bias(const Node& node, const Tensor& input, int blocks, float* out);

}  // namespace rmbg::cpu
