// SPDX-License-Identifier: Apache-2.0
// Asks the compiler's runtime, which also checks that the operating system saves the wide registers, and CPUID for
// what older compilers do not know by name.
#include "core/cpu_features.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace rmbg {
namespace {

#if defined(__x86_64__)
struct Leaf7 {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit Leaf7(unsigned subleaf) { __get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx); }
};

/// Linux gives a process the 8 KiB of tile registers on request only (since 5.16; the threads share the permission).
bool allow_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool has_tiles() {
#if defined(RMBG_HAVE_AMX)
  constexpr unsigned kTileAndBf16 = 1u << 24 | 1u << 22;  // 7.0 EDX
  return (Leaf7(0).edx & kTileAndBf16) == kTileAndBf16 && allow_tiles();
#else
  return false;
#endif
}

CpuIsa detect() {
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")))
    return CpuIsa::kGeneric;
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")))
    return CpuIsa::kAvx2;
#if defined(RMBG_HAVE_AVX512_BF16)     // else the compiler does not know these instructions
  constexpr unsigned kBf16 = 1u << 5;  // 7.1 EAX
  if ((Leaf7(1).eax & kBf16) != 0) return has_tiles() ? CpuIsa::kAmx : CpuIsa::kAvx512Bf16;
#endif
  return CpuIsa::kAvx512;
}
#else
CpuIsa detect() { return CpuIsa::kGeneric; }
#endif

CpuIsa allowed() {
  const char* text = std::getenv("RMBG_ISA");
  if (text == nullptr || *text == '\0') return CpuIsa::kAmx;
  for (const CpuIsa isa : {CpuIsa::kGeneric, CpuIsa::kAvx2, CpuIsa::kAvx512, CpuIsa::kAvx512Bf16, CpuIsa::kAmx})
    if (std::string(text) == cpu_isa_name(isa)) return isa;
  throw std::invalid_argument("RMBG_ISA is '" + std::string(text) +
                              "'; it may be generic, avx2, avx512, avx512_bf16 or amx");
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = std::min(allowed(), detect());
  return isa;
}

const char* cpu_isa_name(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAmx:
      return "amx";
    case CpuIsa::kAvx512Bf16:
      return "avx512_bf16";
    case CpuIsa::kAvx512:
      return "avx512";
    case CpuIsa::kAvx2:
      return "avx2";
    case CpuIsa::kGeneric:
      break;
  }
  return "generic";
}

bool cpu_has_bf16() { return cpu_isa() >= CpuIsa::kAvx512Bf16; }

}  // namespace rmbg
