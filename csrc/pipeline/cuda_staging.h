// SPDX-License-Identifier: Apache-2.0
// Copies host frames to the GPU and results back: through pinned memory, or directly if the caller's memory is pinned.
// Frames in GPU memory are used in place.
#pragma once

#include "core/buffer.h"
#include "pipeline/cuda_frame.h"

namespace rmbg {

class CudaStaging {
 public:
  /// Reserves memory (`grown`: a buffer moved) and returns where the job's parts are. Copies what is not pinned to
  /// pinned memory now, on all cores. The previous job's copies must have ended.
  CudaTask stage(const FrameJob& job, bool& grown);

  /// After copy_out: copies the result to the caller's memory, unless it is there already.
  void deliver(const FrameJob& job, const CudaTask& task) const;

  /// A job of this key in the slot's own memory, to measure: with the last host frame if it was staged, else black,
  /// which `stream` writes.
  CudaTask rehearse(const GraphKey& key, cudaStream_t stream, bool& grown);

 private:
  /// For an NV12 frame: reserves its colours, which become the task's frame.
  void take_for_nv12(CudaTask& task, Size size, PixelFormat format, bool& grown);

  Buffer frame_{MemoryKind::kDevice}, background_{MemoryKind::kDevice}, result_{MemoryKind::kDevice};
  Buffer color_{MemoryKind::kDevice};  // of an NV12 frame
  Buffer pinned_frame_{MemoryKind::kPinned}, pinned_background_{MemoryKind::kPinned},
      pinned_result_{MemoryKind::kPinned};
};

}  // namespace rmbg
