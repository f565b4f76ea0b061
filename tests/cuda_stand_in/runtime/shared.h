// SPDX-License-Identifier: Apache-2.0
// Shared memory of the running block. No two kernels run at once, so there is one of each kind in the process.
#pragma once

#include <cstddef>

#include "runtime/grid.h"

namespace stand_in {

struct Bytes {
  unsigned char* begin;
  std::size_t size;
};

/// The __shared__ variables of all kernels (shared_memory.ld).
Bytes static_shared();

/// Room for the largest dynamic shared memory. It is taken from the end, where a page that cannot be accessed follows.
Bytes dynamic_arena();

/// Fills static shared memory with kUninitialized, as far as blocks of this kernel have changed it. Before each block
/// and after the last.
void poison_static_shared(const Kernel& kernel, std::size_t blocks_done, bool last);

}  // namespace stand_in
