// SPDX-License-Identifier: Apache-2.0
// How an op runs over its rows on the CPU. The counterpart for CUDA grids is launch.cuh.
#pragma once

#include <cstdint>

#include "core/thread_pool.h"

namespace rmbg {

/// Threads that may work on one parallel_for, the caller included.
inline int parallel_workers() { return ThreadPool::instance().workers(); }

/// body(begin, end) over pieces of [0, count) of at most `grain`, on all cores; returns when all are done.
template <typename F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& body) {
  auto call = [&body](std::int64_t begin, std::int64_t end, int) { body(begin, end); };
  ThreadPool::instance().run(count, grain, call);
}

/// The same with body(begin, end, worker), worker in [0, parallel_workers()), unique within this call:
/// for scratch memory that belongs to the caller.
template <typename F>
void parallel_for_worker(std::int64_t count, std::int64_t grain, F&& body) {
  ThreadPool::instance().run(count, grain, body);
}

/// Rows a piece, so that a piece is worth the hand-over: about 32 Ki samples.
inline std::int64_t rows_per_piece(std::int64_t samples_per_row) {
  constexpr std::int64_t kSamples = 32 * 1024;
  return samples_per_row >= kSamples ? 1
                                     : (kSamples + samples_per_row - 1) / (samples_per_row > 0 ? samples_per_row : 1);
}

}  // namespace rmbg
