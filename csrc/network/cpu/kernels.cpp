// SPDX-License-Identifier: Apache-2.0
// The choice of the kernel table, once, by what the processor has.
#include "network/cpu/kernels.h"

#include "core/cpu_features.h"

namespace rmbg::cpu {

const Kernels& kernels() {
#if defined(RMBG_HAVE_X86_KERNELS)
  switch (cpu_isa()) {
    case CpuIsa::kAmx:
      return kernels_amx();
    case CpuIsa::kAvx512Bf16:
      return kernels_avx512_bf16();
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
