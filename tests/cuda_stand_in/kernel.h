// SPDX-License-Identifier: Apache-2.0
// CUDA C++'s additions to the language, for kernels that are compiled as plain C++ and run on the CPU, and the handle
// under which the runtime's calls know a kernel.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "cuda_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
// One thread of one block runs at a time, in all of the process. (shared_memory.ld gathers these variables.)
#define __shared__ static

inline thread_local uint3 threadIdx{0, 0, 0};
inline thread_local uint3 blockIdx{0, 0, 0};
inline thread_local dim3 blockDim{1, 1, 1};
inline thread_local dim3 gridDim{1, 1, 1};

namespace stand_in {

/// Where a thread waits for the others of its block; those that have returned count as arrived.
void barrier();

/// The dynamic shared memory of the running block, 16-byte aligned; its end touches a page that cannot be accessed.
unsigned char* dynamic_shared();

// Atomic operations; functions, so that the race detector does not take them for a read and a write.
int add_atomically(int* at, int value);
unsigned int add_atomically(unsigned int* at, unsigned int value);
int max_atomically(int* at, int value);
unsigned int max_atomically(unsigned int* at, unsigned int value);

/// What is needed to copy the arguments of a kernel and to call it later.
struct Signature {
  std::size_t count;
  const std::size_t* sizes;
  void (*call)(void (*function)(), void* const* arguments);
};

/// The handle of a function: always the same object for the same function.
const void* intern_kernel(void (*function)(), const Signature& signature);

template <typename... P>
struct SignatureOf {
  static_assert((std::is_trivially_copyable_v<P> && ...), "arguments of kernels are copied byte by byte");
  static_assert(((alignof(P) <= alignof(std::max_align_t)) && ...), "arguments are kept at this alignment");

  template <std::size_t... I>
  static void call_with(void (*function)(), void* const* arguments, std::index_sequence<I...>) {
    (void)arguments;  // unused where a kernel has no parameters
    reinterpret_cast<void (*)(P...)>(function)(*static_cast<P*>(arguments[I])...);
  }
  static void call(void (*function)(), void* const* arguments) {
    call_with(function, arguments, std::index_sequence_for<P...>());
  }

  static constexpr std::size_t sizes[sizeof...(P) + 1] = {sizeof(P)..., 0};  // no array is empty
  static constexpr Signature value = {sizeof...(P), sizes, &SignatureOf::call};
};

/// What stands for `kernel` in cudaLaunchKernel and in the parameters of a graph's node.
template <typename... P>
const void* kernel_entry(void (*kernel)(P...)) {
  return intern_kernel(reinterpret_cast<void (*)()>(kernel), SignatureOf<P...>::value);
}

}  // namespace stand_in

inline void __syncthreads() { stand_in::barrier(); }

template <typename T>
T __ldg(const T* from) {
  return *from;
}

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned int min(unsigned int a, unsigned int b) { return b < a ? b : a; }
inline unsigned int max(unsigned int a, unsigned int b) { return a < b ? b : a; }
inline long min(long a, long b) { return b < a ? b : a; }
inline long max(long a, long b) { return a < b ? b : a; }
// As on the GPU, a NaN loses against a number.
inline float min(float a, float b) { return __builtin_fminf(a, b); }
inline float max(float a, float b) { return __builtin_fmaxf(a, b); }

inline int atomicAdd(int* at, int value) { return stand_in::add_atomically(at, value); }
inline unsigned int atomicAdd(unsigned int* at, unsigned int value) { return stand_in::add_atomically(at, value); }
inline int atomicMax(int* at, int value) { return stand_in::max_atomically(at, value); }
inline unsigned int atomicMax(unsigned int* at, unsigned int value) { return stand_in::max_atomically(at, value); }
