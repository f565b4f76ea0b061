// SPDX-License-Identifier: Apache-2.0
#include "runtime/graph_work.h"

namespace stand_in {

cudaError_t make_work(const cudaKernelNodeParams& parameters, WorkPointer& work) {
  if (parameters.extra != nullptr) return cudaErrorInvalidValue;
  return make_kernel_work(parameters.func, parameters.gridDim, parameters.blockDim, parameters.sharedMemBytes,
                          parameters.kernelParams, work);
}

cudaError_t make_node_copy(const Rows& rows, cudaMemcpyKind kind, WorkPointer& work) {
  const cudaError_t error = make_copy_work(rows, kind, work);
  return error == cudaSuccess && work == nullptr ? cudaErrorInvalidValue : error;
}

cudaError_t make_work(const cudaMemcpy3DParms& parameters, WorkPointer& work) {
  const auto& [width, height, depth] = parameters.extent;
  if (parameters.srcArray != nullptr || parameters.dstArray != nullptr || depth != 1) return cudaErrorInvalidValue;
  const auto place = [](const cudaPitchedPtr& memory, const cudaPos& at) {
    return static_cast<char*>(memory.ptr) + at.y * memory.pitch + at.x;
  };
  return make_node_copy({place(parameters.dstPtr, parameters.dstPos), parameters.dstPtr.pitch,
                         place(parameters.srcPtr, parameters.srcPos), parameters.srcPtr.pitch, width, height},
                        parameters.kind, work);
}

}  // namespace stand_in
