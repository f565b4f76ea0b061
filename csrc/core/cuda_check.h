// SPDX-License-Identifier: Apache-2.0
// Every CUDA call goes through check(): a failure becomes an exception that names the operation.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "core/error.h"

namespace rmbg {

/// Errors after which the process can use the GPU no more.
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
  if (error == cudaErrorMemoryAllocation) text += "; use smaller frames, fewer slots, or free memory of the GPU";
  if (is_fatal(error)) text += "; the GPU is lost to this process: end it and start again";
  throw CudaError(text);
}

}  // namespace rmbg
