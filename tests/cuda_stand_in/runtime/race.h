// SPDX-License-Identifier: Apache-2.0
// Finds races in shared memory: two threads of a block touch the same byte with no barrier between, and one of them
// writes. The compiler calls race.cpp before each access of a kernel, as it would ThreadSanitizer.
#pragma once

#include <cstddef>

namespace stand_in {

/// A barrier was passed, or a block began: what was done before comes before what is done from now on.
void begin_interval();

/// Whose accesses follow: a thread's number in its block.
void set_accessing_thread(std::size_t thread);

/// The running thread began an asynchronous copy to here, or waited for it. In between nobody may touch the bytes, the
/// thread itself included.
void begin_copy_to(void* to, std::size_t bytes, const void* code);
void end_copy_to(void* to, std::size_t bytes, const void* code);

/// An atomic operation of the running thread: no race with others of its kind.
void touch_atomically(void* address, std::size_t bytes, const void* code);

}  // namespace stand_in
