// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX2 with FMA; CMakeLists.txt sets the compile options.
#include "network/cpu/kernels_impl.h"

namespace rmbg::cpu {

const Kernels& kernels_avx2() { return kTable; }

}  // namespace rmbg::cpu
