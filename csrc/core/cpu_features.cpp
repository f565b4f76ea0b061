// SPDX-License-Identifier: Apache-2.0
// Asks the compiler's runtime, which also checks that the operating system saves the wide registers.
#include "core/cpu_features.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rmbg {
namespace {

CpuIsa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx2) return avx512 ? CpuIsa::kAvx512 : CpuIsa::kAvx2;
#endif
  return CpuIsa::kGeneric;
}

CpuIsa allowed() {
  const char* text = std::getenv("RMBG_ISA");
  if (text == nullptr || *text == '\0') return CpuIsa::kAvx512;
  for (const CpuIsa isa : {CpuIsa::kGeneric, CpuIsa::kAvx2, CpuIsa::kAvx512})
    if (std::string(text) == cpu_isa_name(isa)) return isa;
  throw std::invalid_argument("RMBG_ISA is '" + std::string(text) + "'; it may be generic, avx2 or avx512");
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = std::min(detect(), allowed());
  return isa;
}

const char* cpu_isa_name(CpuIsa isa) {
  return isa == CpuIsa::kAvx512 ? "avx512" : isa == CpuIsa::kAvx2 ? "avx2" : "generic";
}

bool cpu_has_bf16() {
#if defined(__x86_64__)
  if (detect() != CpuIsa::kAvx512) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kAvx512Bf16 = 1u << 5;  // leaf 7.1, EAX
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvx512Bf16) != 0;
#else
  return false;
#endif
}

}  // namespace rmbg
