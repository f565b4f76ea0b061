// SPDX-License-Identifier: Apache-2.0
// Records a stream's work into a graph, as a chain, instead of running it.
#pragma once

#include <memory>
#include <thread>

#include "cuda_types.h"
#include "runtime/graph.h"

namespace stand_in {

struct Capture {
  explicit Capture(cudaStreamCaptureMode mode);
  /// Adds work, or a child graph, at the end; nothing of it runs.
  cudaError_t record(WorkPointer work);
  /// Whether it forbids this thread what is "potentially unsafe" (CUDA runtime API,
  /// cudaThreadExchangeStreamCaptureMode): a thread in global mode minds its own captures and the global ones of
  /// others, one in thread-local mode its own, and one in relaxed mode none. Relaxed captures forbid nothing.
  bool forbids() const;

  cudaStreamCaptureMode mode;
  std::thread::id thread;
  unsigned long id;  // from 1
  std::unique_ptr<CUgraph_st> graph;
  bool invalid = false;
};

/// For calls that wait, allocate, free or query: fails, and invalidates the capture, if one forbids it to this thread.
cudaError_t refuse_while_recording();
/// For calls that wait for a whole device: none of its streams may be captured, in any mode.
cudaError_t refuse_on_device(int device);
/// The same for what is forbidden on the recorded stream itself, whatever the mode.
cudaError_t refuse_on(CUstream_st& stream);
/// Whether the error means that a capture forbids the call, which then did nothing.
bool is_refusal(cudaError_t error);
/// Invalidates the capture with this id, and returns `error`.
cudaError_t spoil(unsigned long id, cudaError_t error);

}  // namespace stand_in
