// SPDX-License-Identifier: Apache-2.0
// A vector of floats as wide as the file's compile options allow, by the vector extensions of GCC and Clang.
// Included only by kernels_impl.h: everything is local to the file, as each is compiled for its own processor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "network/cpu/kernels.h"

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

}  // namespace
}  // namespace rmbg::cpu
