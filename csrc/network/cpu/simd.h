// SPDX-License-Identifier: Apache-2.0
// A vector of floats as wide as the file's compile options allow (vector extensions of GCC and Clang).
// Included only by kernels_impl.h: everything is local to the file, as each is compiled for its own processor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "network/cpu/kernels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#define RMBG_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define RMBG_UNROLL _Pragma("unroll")
#else
#define RMBG_UNROLL _Pragma("GCC unroll 32")
#endif

namespace rmbg::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float)), may_alias));

RMBG_INLINE Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
RMBG_INLINE void store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
RMBG_INLINE Vec splat(float x) { return x - Vec{}; }
RMBG_INLINE Vec maximum(Vec a, Vec b) { return a > b ? a : b; }

// From and to bfloat16.
typedef std::uint32_t Words __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
typedef Bf16 Halves __attribute__((vector_size(kLanes * sizeof(Bf16)), may_alias, aligned(2)));

RMBG_INLINE Vec load_bf16(const Bf16* p) {
  return reinterpret_cast<Vec>(__builtin_convertvector(*reinterpret_cast<const Halves*>(p), Words) << 16);
}

/// Rounds like to_bf16(), except that the instruction flushes subnormal numbers to 0.
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

/// Neighbouring vectors.
template <int count>
RMBG_INLINE void store_bf16(Bf16* p, const Vec (&v)[count]) {
#if defined(__AVX512BF16__)
  if constexpr (count == 2) {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(v[1], v[0])));
    return;
  }
#endif
  RMBG_UNROLL
  for (int i = 0; i < count; ++i) store_bf16(p + i * kLanes, v[i]);
}

}  // namespace
}  // namespace rmbg::cpu
