// SPDX-License-Identifier: Apache-2.0
// CUDA contexts. The runtime, and every library built on it, shares a device's primary context; a program may have made
// and left current another one, in which none of our memory and streams exist.
#pragma once

namespace rmbg {

/// Throws CudaError where another context than the device's primary one is current in this thread.
void check_context(int device);

}  // namespace rmbg
