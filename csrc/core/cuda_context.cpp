// SPDX-License-Identifier: Apache-2.0
// Only the driver knows contexts; its functions are fetched through the runtime, so nothing has to be linked.
#include "core/cuda_context.h"

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace rmbg {
namespace {

constexpr unsigned kDriverVersion = 12000;  // of the functions' signatures; they are older than that

template <typename Function>
Function driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion(name, &function, kDriverVersion, cudaEnableDefault, &found);
#else
  const cudaError_t error = cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found);
#endif
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  return reinterpret_cast<Function>(function);
}

}  // namespace

void check_context(int device) {
  // cuCtxGetCurrent(CUcontext*), cuDevicePrimaryCtxRetain(CUcontext*, CUdevice), cuDevicePrimaryCtxRelease(CUdevice)
  static const auto get_current = driver_function<int (*)(void**)>("cuCtxGetCurrent");
  static const auto retain = driver_function<int (*)(void**, int)>("cuDevicePrimaryCtxRetain");
  static const auto release = driver_function<int (*)(int)>("cuDevicePrimaryCtxRelease");
  if (get_current == nullptr || retain == nullptr || release == nullptr) return;
  void *current = nullptr, *primary = nullptr;
  // None is current in a new thread: the runtime will take the primary one.
  if (get_current(&current) != 0 || current == nullptr) return;
  if (retain(&primary, device) != 0) return;
  release(device);
  int of_current = device;
  if (current == primary || cudaGetDevice(&of_current) != cudaSuccess || of_current != device) return;
  throw CudaError(
      "another CUDA context than the GPU's primary one is current in this thread; with PyCUDA, import "
      "pycuda.autoprimaryctx instead of pycuda.autoinit");
}

}  // namespace rmbg
