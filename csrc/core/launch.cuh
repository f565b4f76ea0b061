// SPDX-License-Identifier: Apache-2.0
// What kernels share: the arithmetic of grids, and shared memory whose size is known at the launch.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace rmbg {

/// Shared memory that every GPU gives a block without being asked (CUDA programming guide, "Compute Capabilities").
constexpr std::size_t kSharedBytes = 48 * 1024;

constexpr int kWarp = 32;

constexpr __host__ __device__ int blocks_for(std::int64_t count, int per_block) {
  return static_cast<int>((count + per_block - 1) / per_block);
}

constexpr __host__ __device__ std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

/// Whether rows can be read or written in 4-byte words.
inline bool word_aligned(const void* data, std::int64_t pitch_bytes) {
  return (reinterpret_cast<std::uintptr_t>(data) | static_cast<std::uintptr_t>(pitch_bytes)) % 4 == 0;
}

}  // namespace rmbg

#if defined(RMBG_CUDA_STAND_IN)
#define RMBG_DYNAMIC_SHARED(name) unsigned char* const name = stand_in::dynamic_shared()
#else
#define RMBG_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif
