// SPDX-License-Identifier: Apache-2.0
// What CUDA knows about a pointer.
#pragma once

#include <cstddef>

namespace rmbg {

/// Whether these bytes of host memory are page-locked, so that the GPU copies from and to them by itself.
bool is_pinned(const void* data, std::size_t bytes);

/// Throws std::invalid_argument unless these bytes are memory of this GPU. `what` names them.
void check_on_device(const void* data, std::size_t bytes, int device, const char* what);

}  // namespace rmbg
