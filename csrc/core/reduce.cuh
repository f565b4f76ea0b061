// SPDX-License-Identifier: Apache-2.0
// The second step of a reduction, inside the kernel that needs the result.
#pragma once

#include "core/launch.cuh"
#include "core/reduce.h"

namespace rmbg {

struct LargerByte {
  using Value = std::uint8_t;
  static constexpr __device__ Value neutral() { return 0; }
  static __device__ Value join(Value a, Value b) { return a > b ? a : b; }
};

struct WiderRange {
  using Value = MinMax;
  static __device__ Value neutral() { return {__builtin_huge_valf(), -__builtin_huge_valf()}; }
  // Comparisons with NaN are false, so a NaN never gets in.
  static __device__ Value join(Value a, Value b) {
    return {b.min < a.min ? b.min : a.min, b.max > a.max ? b.max : a.max};
  }
};

/// The join of every thread's value, for all threads. `scratch`: kThreads values of shared memory; kThreads is a power
/// of two and the number of threads in the block.
template <typename Op, int kThreads>
__device__ typename Op::Value join_block(typename Op::Value value, typename Op::Value* scratch, int thread) {
  scratch[thread] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) scratch[thread] = Op::join(scratch[thread], scratch[thread + half]);
    __syncthreads();
  }
  return scratch[0];
}

/// The join of the partial results of `count` blocks.
template <typename Op, int kThreads>
__device__ typename Op::Value join_partials(const typename Op::Value* partials, int count, typename Op::Value* scratch,
                                            int thread) {
  typename Op::Value value = Op::neutral();
  for (int i = thread; i < count; i += kThreads) value = Op::join(value, partials[i]);
  return join_block<Op, kThreads>(value, scratch, thread);
}

}  // namespace rmbg
