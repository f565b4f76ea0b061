// SPDX-License-Identifier: Apache-2.0
// The instruction set that the CPU kernels may use, detected once. RMBG_ISA=generic|avx2|avx512|avx512_bf16|amx lowers
// it.
#pragma once

namespace rmbg {

/// Each includes the ones before it.
enum class CpuIsa { kGeneric, kAvx2, kAvx512, kAvx512Bf16, kAmx };

/// kAvx2 means AVX2, FMA and F16C; kAvx512 adds F, DQ, BW and VL; kAvx512Bf16 adds AVX512-BF16; kAmx adds AMX-TILE
/// and AMX-BF16, for which the first call asks the operating system's permission.
CpuIsa cpu_isa();

/// "generic", "avx2", "avx512", "avx512_bf16" or "amx".
const char* cpu_isa_name(CpuIsa isa);

/// Whether bfloat16 may be multiplied natively (AVX512-BF16 or AMX-BF16): emulation is slower than fp32.
bool cpu_has_bf16();

}  // namespace rmbg
