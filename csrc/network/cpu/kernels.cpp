// SPDX-License-Identifier: Apache-2.0
// Chooses the kernel table by the CPU's instruction set.
#include "network/cpu/kernels.h"

#include "core/cpu_features.h"

namespace rmbg::cpu {

const Kernels& kernels() {
#if defined(RMBG_HAVE_X86_KERNELS)
  switch (cpu_isa()) {
    case CpuIsa::kAmx:  // cpu_isa() returns only sets that this build has kernels for
#if defined(RMBG_HAVE_AMX)
      return kernels_amx();
#endif
    case CpuIsa::kAvx512Bf16:
#if defined(RMBG_HAVE_AVX512_BF16)
      return kernels_avx512_bf16();
#endif
    case CpuIsa::kAvx512:
      return kernels_avx512();
    case CpuIsa::kAvx2:
      return kernels_avx2();
    case CpuIsa::kGeneric:
      break;
  }
#endif
  return kernels_generic();
}

}  // namespace rmbg::cpu
