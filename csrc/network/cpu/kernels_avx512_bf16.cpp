// SPDX-License-Identifier: Apache-2.0
// The kernels for AVX-512 with BF16 dot products; CMakeLists.txt sets the compile options.
#include "network/cpu/kernels_impl.h"

namespace rmbg::cpu {

const Kernels& kernels_avx512_bf16() { return kTable; }

}  // namespace rmbg::cpu
