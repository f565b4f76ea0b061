// SPDX-License-Identifier: Apache-2.0
// Vectors of floats from and to bfloat16. Included only by kernels_impl.h.
#pragma once

#include "network/cpu/kernels_bf16.h"
#include "network/cpu/simd.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace rmbg::cpu {
namespace {

typedef std::uint32_t Words __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
typedef Bf16 Halves __attribute__((vector_size(kLanes * sizeof(Bf16)), may_alias, aligned(2)));

RMBG_INLINE Vec load_bf16(const Bf16* p) {
  return reinterpret_cast<Vec>(__builtin_convertvector(*reinterpret_cast<const Halves*>(p), Words) << 16);
}

/// Rounds as to_bf16() does; the instruction turns what is below the smallest normal float into 0.
RMBG_INLINE void store_bf16(Bf16* p, Vec v) {
#if defined(__AVX512BF16__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
#else
  const Words bits = reinterpret_cast<Words>(v);
  const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const Words nan = Words{} + 0x7fc0;
  *reinterpret_cast<Halves*>(p) = __builtin_convertvector(v == v ? rounded : nan, Halves);
#endif
}

}  // namespace
}  // namespace rmbg::cpu
