// SPDX-License-Identifier: Apache-2.0
// What this thread's calls mean to streams that are being captured (CUDA runtime API,
// cudaThreadExchangeStreamCaptureMode). By default every "potentially unsafe" call (cudaMalloc, cudaFree, waiting,
// querying) fails, and spoils the capture, while any thread captures in global mode, as torch.cuda.graph does.
#pragma once

#include <cuda_runtime_api.h>

namespace rmbg {

/// Another mode for the calling thread, until the end of the scope.
/// cudaStreamCaptureModeRelaxed: for allocating and freeing, which no capture has to know of.
/// cudaStreamCaptureModeThreadLocal: for whole frames. Captures of other threads are not our business; one of this
/// thread stays strict, so that a network that waits or copies while it is recorded is found out.
class CaptureModeScope {
 public:
  explicit CaptureModeScope(cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed) noexcept : other_(mode) {
    changed_ = cudaThreadExchangeStreamCaptureMode(&other_) == cudaSuccess;
    if (!changed_) cudaGetLastError();  // no driver, or it is gone: the calls in the scope will say so
  }
  ~CaptureModeScope() {
    if (changed_ && cudaThreadExchangeStreamCaptureMode(&other_) != cudaSuccess) cudaGetLastError();
  }
  CaptureModeScope(const CaptureModeScope&) = delete;
  CaptureModeScope& operator=(const CaptureModeScope&) = delete;

 private:
  cudaStreamCaptureMode other_;  // the one that this thread does not have now
  bool changed_ = false;
};

}  // namespace rmbg
