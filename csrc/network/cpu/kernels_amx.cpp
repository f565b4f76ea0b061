// SPDX-License-Identifier: Apache-2.0
// The kernels for AMX tiles, with AVX-512 and its BF16 conversions beside them; CMakeLists.txt sets the compile
// options.
#include "network/cpu/kernels_impl.h"

namespace rmbg::cpu {

const Kernels& kernels_amx() { return kTable; }

}  // namespace rmbg::cpu
