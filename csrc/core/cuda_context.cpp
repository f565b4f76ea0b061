// SPDX-License-Identifier: Apache-2.0
// Contexts exist only in the driver API. The runtime looks its functions up, so nothing has to be linked.
#include "core/cuda_context.h"

#include <cuda_runtime_api.h>

#include <atomic>

#include "core/cuda_check.h"
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

/// The driver's calls; all null if one of them is missing.
struct Driver {
  int (*get_current)(void** context) = driver_function<int (*)(void**)>("cuCtxGetCurrent");
  int (*push)(void* context) = driver_function<int (*)(void*)>("cuCtxPushCurrent");
  int (*pop)(void** context) = driver_function<int (*)(void**)>("cuCtxPopCurrent");
  int (*retain)(void** context, int device) = driver_function<int (*)(void**, int)>("cuDevicePrimaryCtxRetain");

  Driver() {
    if (get_current == nullptr || push == nullptr || pop == nullptr || retain == nullptr)
      get_current = nullptr, push = nullptr, pop = nullptr, retain = nullptr;
  }
};

const Driver& driver() {
  static const Driver calls;
  return calls;
}

constexpr int kDevices = 64;

/// A device's primary context, or nullptr. Once retained it is never released; the runtime does not release it either.
void* primary_context(int device) {
  static std::atomic<void*> known[kDevices];
  if (driver().retain == nullptr || device < 0 || device >= kDevices) return nullptr;
  void* context = known[device].load(std::memory_order_acquire);
  if (context != nullptr) return context;
  // Two threads may both retain it, which does no harm.
  if (driver().retain(&context, device) != 0) return nullptr;
  known[device].store(context, std::memory_order_release);
  return context;
}

}  // namespace

void check_context(int device) {
  void* current = nullptr;
  // A new thread has none: the runtime will take the primary one.
  if (driver().get_current == nullptr || driver().get_current(&current) != 0 || current == nullptr) return;
  void* const primary = primary_context(device);
  int of_current = device;
  if (primary == nullptr || current == primary) return;
  if (cudaGetDevice(&of_current) != cudaSuccess || of_current != device) return;
  throw CudaError(
      "this thread's current CUDA context is not the GPU's primary one; with PyCUDA, import "
      "pycuda.autoprimaryctx instead of pycuda.autoinit");
}

void DeviceScope::enter() {
  leave();
  check(cudaGetDevice(&before_), "asking for the current GPU");
  if (before_ == device_ && !pushed_) return;
  void* const primary = primary_context(device_);
  if (primary != nullptr && driver().push(primary) == 0) {
    changed_ = Changed::kContext;
  } else {
    check(cudaSetDevice(device_), "selecting the GPU");
    changed_ = Changed::kDevice;
  }
}

void DeviceScope::leave() noexcept {
  void* ours = nullptr;
  if (changed_ == Changed::kContext) driver().pop(&ours);
  if (changed_ == Changed::kDevice) cudaSetDevice(before_);
  changed_ = Changed::kNothing;
}

}  // namespace rmbg
