// SPDX-License-Identifier: Apache-2.0
// Every CUDA call goes through check(): a failure becomes an exception that names the operation. CaptureModeScope keeps
// calls of this thread and stream captures of others from disturbing each other.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "core/error.h"

namespace rmbg {

/// Errors after which the process can no longer use the GPU.
inline bool is_fatal(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorHardwareStackError ||
         error == cudaErrorIllegalInstruction || error == cudaErrorMisalignedAddress ||
         error == cudaErrorInvalidAddressSpace || error == cudaErrorInvalidPc || error == cudaErrorAssert ||
         error == cudaErrorLaunchTimeout || error == cudaErrorECCUncorrectable;
}

/// Throws CudaError unless the call succeeded, and clears the error, so that a later call does not report it again.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  std::string text = std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (error == cudaErrorMemoryAllocation) text += "; use smaller frames or fewer slots, or free GPU memory";
  if (is_fatal(error)) text += "; this process can no longer use the GPU: restart it";
  throw CudaError(text);
}

/// Sets the calling thread's capture mode until the end of the scope. In the default mode every "potentially unsafe"
/// call (cudaMalloc, cudaFree, waiting, querying) fails, and invalidates the capture, while any thread captures in
/// global mode, as torch.cuda.graph does (CUDA runtime API, cudaThreadExchangeStreamCaptureMode).
/// cudaStreamCaptureModeRelaxed: for allocating and freeing, which never belong to a capture.
/// cudaStreamCaptureModeThreadLocal: for whole frames. It ignores captures of other threads but still checks this
/// one's, so a network that waits or copies while it is recorded fails.
class CaptureModeScope {
 public:
  explicit CaptureModeScope(cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed) noexcept : other_(mode) {
    changed_ = cudaThreadExchangeStreamCaptureMode(&other_) == cudaSuccess;
    if (!changed_) cudaGetLastError();  // no driver: the calls in the scope will report it
  }
  ~CaptureModeScope() {
    if (changed_ && cudaThreadExchangeStreamCaptureMode(&other_) != cudaSuccess) cudaGetLastError();
  }
  CaptureModeScope(const CaptureModeScope&) = delete;
  CaptureModeScope& operator=(const CaptureModeScope&) = delete;

 private:
  cudaStreamCaptureMode other_;  // the mode to restore
  bool changed_ = false;
};

}  // namespace rmbg
