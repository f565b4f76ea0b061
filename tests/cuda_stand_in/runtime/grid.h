// SPDX-License-Identifier: Apache-2.0
// A kernel's launch, run on the CPU: block after block, and in a block thread after thread, up to the next barrier.
#pragma once

#include <cstddef>

#include "cuda_types.h"
#include "kernel.h"

namespace stand_in {

/// What a handle of a kernel points to.
struct Kernel {
  void (*function)();
  Signature signature;
};

/// nullptr where `entry` is no handle that kernel_entry() gave.
const Kernel* find_kernel(const void* entry);

/// What every GPU can launch (CUDA programming guide, "Compute Capabilities").
constexpr unsigned kMaxBlockThreads = 1024;
constexpr unsigned kMaxBlockZ = 64;
constexpr unsigned kMaxGridX = 2147483647;
constexpr unsigned kMaxGridYZ = 65535;
constexpr std::size_t kMaxSharedBytes = 48 * 1024;

cudaError_t check_shape(dim3 grid, dim3 block, std::size_t shared_bytes);

/// Notes that a kernel runs, for rmbg_stand_in_kernels_run().
void note_run(const Kernel& kernel);

void run_grid(const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments);

}  // namespace stand_in
