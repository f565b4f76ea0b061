// SPDX-License-Identifier: Apache-2.0
// Type and memory layout of a network's tensors.
#pragma once

#include <cstddef>

namespace rmbg {

enum class DataType { kFloat32, kFloat16 };

/// A tensor (1, C, H, W) in memory: planes, or the channels of a pixel side by side ("channels last").
enum class Layout { kNchw, kNhwc };

constexpr std::size_t size_of(DataType type) { return type == DataType::kFloat32 ? 4 : 2; }

}  // namespace rmbg
