// SPDX-License-Identifier: Apache-2.0
// The instruction set that the CPU kernels may use, found once. RMBG_ISA=generic|avx2|avx512 lowers it.
#pragma once

namespace rmbg {

/// In order: each includes what stands before it.
enum class CpuIsa { kGeneric, kAvx2, kAvx512 };

/// kAvx2 means AVX2, FMA and F16C; kAvx512 means F, DQ, BW and VL on top.
CpuIsa cpu_isa();

/// "generic", "avx2" or "avx512".
const char* cpu_isa_name(CpuIsa isa);

/// Whether the processor multiplies bfloat16 natively (AVX512-BF16 or AMX-BF16): emulation is slower than fp32.
bool cpu_has_bf16();

}  // namespace rmbg
