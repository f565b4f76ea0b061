// SPDX-License-Identifier: Apache-2.0
// What CUDA knows about a pointer.
#pragma once

#include <cstddef>

namespace rmbg {

/// The origin of page-locked host memory. A copy in a graph can only change to an address of the same origin (CUDA
/// runtime API, cudaGraphExecMemcpyNodeSetParams: the same context and unchanged mappings).
struct PinnedOrigin {
  static constexpr int kNotPinned = -1;
  static constexpr int kRegistered = -2;  // cudaHostRegister

  int flags = kNotPinned;  // of cudaHostAlloc, or one of these
  int device = -1;         // whose context it belongs to

  friend bool operator==(const PinnedOrigin& a, const PinnedOrigin& b) {
    return a.flags == b.flags && a.device == b.device;
  }
};

/// The origin of these bytes of host memory; kNotPinned if they have more than one.
PinnedOrigin pinned_origin(const void* data, std::size_t bytes);

/// Whether the GPU can copy from and to these bytes of host memory directly.
inline bool is_pinned(const void* data, std::size_t bytes) {
  return pinned_origin(data, bytes).flags != PinnedOrigin::kNotPinned;
}

/// The GPU whose memory this is, or -1.
int device_of(const void* data);

/// Throws std::invalid_argument unless these bytes are memory of this GPU. `what` names them.
void check_on_device(const void* data, std::size_t bytes, int device, const char* what);

}  // namespace rmbg
