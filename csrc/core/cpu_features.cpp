// SPDX-License-Identifier: Apache-2.0
// The compiler's runtime also checks that the operating system saves the wide registers. CPUID tells the features that
// older compilers have no name for.
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

constexpr const char* kNames[] = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};  // in the order of CpuIsa

#if defined(__x86_64__)
struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit CpuId(unsigned leaf, unsigned subleaf = 0) { __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx); }
};

/// Linux grants a process the 8 KiB of tile registers only on request (since 5.16; for all its threads).
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
  return (CpuId(7).edx & kTileAndBf16) == kTileAndBf16 && allow_tiles();
#else
  return false;
#endif
}

CpuIsa detect() {
  constexpr unsigned kF16c = 1u << 29;  // 1.0 ECX
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && (CpuId(1).ecx & kF16c) != 0))
    return CpuIsa::kGeneric;
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")))
    return CpuIsa::kAvx2;
#if defined(RMBG_HAVE_AVX512_BF16)     // else the compiler does not know these instructions
  constexpr unsigned kBf16 = 1u << 5;  // 7.1 EAX
  if ((CpuId(7, 1).eax & kBf16) != 0) return has_tiles() ? CpuIsa::kAmx : CpuIsa::kAvx512Bf16;
#endif
  return CpuIsa::kAvx512;
}
#else
CpuIsa detect() { return CpuIsa::kGeneric; }
#endif

CpuIsa allowed() {
  const char* text = std::getenv("RMBG_ISA");
  if (text == nullptr || *text == '\0') return CpuIsa::kAmx;
  for (int i = 0; i <= static_cast<int>(CpuIsa::kAmx); ++i)
    if (std::string(text) == kNames[i]) return static_cast<CpuIsa>(i);
  throw std::invalid_argument("RMBG_ISA is '" + std::string(text) +
                              "'; it may be generic, avx2, avx512, avx512_bf16 or amx");
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = std::min(allowed(), detect());
  return isa;
}

const char* cpu_isa_name(CpuIsa isa) { return kNames[static_cast<int>(isa)]; }

bool cpu_has_bf16() { return cpu_isa() >= CpuIsa::kAvx512Bf16; }

}  // namespace rmbg
