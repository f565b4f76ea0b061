// SPDX-License-Identifier: Apache-2.0
// The weight side of Winograd's convolution, G g G^T, computed once in double precision.
#pragma once

#include "network/cpu/layer.h"

namespace rmbg::cpu {

/// Packs to [group][frequency][input channel, padded][group's output channels] floats.
void pack_winograd_weights(const Node& node, int m, int cin_blocks, Groups groups, float* out);

}  // namespace rmbg::cpu
