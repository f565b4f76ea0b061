// SPDX-License-Identifier: Apache-2.0
// The kernels for any processor: the compiler's baseline (SSE2, NEON).
#include "network/cpu/kernels_impl.h"

namespace rmbg::cpu {

const Kernels& kernels_generic() { return kTable; }

}  // namespace rmbg::cpu
