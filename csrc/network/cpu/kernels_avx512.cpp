// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX-512 (F, DQ, BW, VL); CMakeLists.txt sets the compile options.
#include "network/cpu/kernels_impl.h"

namespace rmbg::cpu {

const Kernels& kernels_avx512() { return kTable; }

}  // namespace rmbg::cpu
