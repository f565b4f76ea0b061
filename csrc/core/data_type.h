// SPDX-License-Identifier: Apache-2.0
// What a network's tensors are made of.
#pragma once

#include <cstddef>

namespace rmbg {

enum class DataType { kFloat32, kFloat16 };

constexpr std::size_t size_of(DataType type) { return type == DataType::kFloat32 ? 4 : 2; }

}  // namespace rmbg
