// SPDX-License-Identifier: Apache-2.0
// The queue that work is put on. It is an explicit, last argument everywhere; on the CPU it is empty
// and work has ended when the call returns.
#pragma once

namespace rmbg {

/// A cudaStream_t as an opaque handle, so that no CUDA header is needed to pass it on.
struct Stream {
  void* handle = nullptr;
};

}  // namespace rmbg
