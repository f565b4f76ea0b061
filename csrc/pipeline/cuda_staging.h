// SPDX-License-Identifier: Apache-2.0
// Copies host frames to the GPU and results back: through pinned memory, or directly where the caller's own memory is
// pinned. Frames in GPU memory are used where they are.
#pragma once

#include "core/buffer.h"
#include "pipeline/cuda_frame.h"

namespace rmbg {

class CudaStaging {
 public:
  /// Makes room (`grown`: something moved) and says where everything of this job lies; what is not pinned is copied
  /// to pinned memory now, on all cores. The copies of the job before must have ended.
  CudaTask stage(const FrameJob& job, bool& grown);

  /// Once copy_out has ended: copies the result to where the caller wants it, unless it is there already.
  void deliver(const FrameJob& job, const CudaTask& task) const;

  /// A job of this kind over the slot's own memory: the content of a host frame before, where it went through it, and
  /// black. What must be written for that is, or will be on `stream`.
  CudaTask rehearse(const GraphKey& key, cudaStream_t stream, bool& grown);

 private:
  /// The frame of a task is NV12: makes room for its colours, which take its place.
  void take_for_nv12(CudaTask& task, Size size, PixelFormat format, bool& grown);

  Buffer frame_{MemoryKind::kDevice}, background_{MemoryKind::kDevice}, result_{MemoryKind::kDevice};
  Buffer color_{MemoryKind::kDevice};  // of an NV12 frame
  Buffer pinned_frame_{MemoryKind::kPinned}, pinned_background_{MemoryKind::kPinned},
      pinned_result_{MemoryKind::kPinned};
};

}  // namespace rmbg
