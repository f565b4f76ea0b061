// SPDX-License-Identifier: Apache-2.0
// The runtime's calls about memory.
#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/device.h"
#include "runtime/memory.h"
#include "runtime/stream.h"
#include "runtime/work.h"

namespace stand_in {
namespace {

cudaError_t allocate(MemoryKind kind, void** data, std::size_t bytes, unsigned flags = 0) {
  if (data == nullptr) return cudaErrorInvalidValue;
  const cudaError_t refused = refuse_while_recording();
  if (refused != cudaSuccess) return refused;
  if (bytes == 0) {
    *data = nullptr;
    return cudaSuccess;
  }
  void* const made = memory().allocate(kind, use_device(), bytes, flags);
  if (made == nullptr) return cudaErrorMemoryAllocation;
  *data = made;
  return cudaSuccess;
}

/// Waits for all work first, because pending work may use the memory.
cudaError_t release(MemoryKind kind, void* data) {
  if (data == nullptr) return cudaSuccess;
  const cudaError_t refused = refuse_while_recording();
  if (refused != cudaSuccess) return refused;
  finish_all();
  return memory().release(kind, data) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t put(WorkPointer work, cudaStream_t handle) {
  CUstream_st* const stream = find_stream(handle);
  return stream == nullptr ? cudaErrorInvalidResourceHandle : submit(*stream, std::move(work));
}

/// On the legacy default stream, and waited for.
cudaError_t do_now(WorkPointer work) {
  const cudaError_t refused = refuse_while_recording();
  if (refused != cudaSuccess) return refused;
  put(std::move(work), cudaStreamLegacy);
  finish(*find_stream(cudaStreamLegacy));
  return cudaSuccess;
}

cudaError_t copy_now(const Rows& rows, cudaMemcpyKind kind) {
  WorkPointer work;
  const cudaError_t error = make_copy_work(rows, kind, work);
  return error != cudaSuccess ? error : do_now(std::move(work));
}

cudaError_t copy_later(const Rows& rows, cudaMemcpyKind kind, cudaStream_t stream) {
  WorkPointer work;
  const cudaError_t error = make_copy_work(rows, kind, work);
  return error != cudaSuccess ? error : put(std::move(work), stream);
}

}  // namespace
}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaMalloc(void** data, size_t bytes) {
  return call("cudaMalloc", [&] { return allocate(MemoryKind::kDevice, data, bytes); });
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned int flags) {
  return call("cudaHostAlloc", [&] { return allocate(MemoryKind::kPinned, data, bytes, flags); });
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  return call("cudaMallocHost", [&] { return allocate(MemoryKind::kPinned, data, bytes); });
}

cudaError_t cudaFree(void* data) {
  return release_call("cudaFree", [&] { return release(MemoryKind::kDevice, data); });
}

cudaError_t cudaFreeHost(void* data) {
  return release_call("cudaFreeHost", [&] { return release(MemoryKind::kPinned, data); });
}

cudaError_t cudaHostGetFlags(unsigned int* flags, void* data) {
  return call("cudaHostGetFlags", [&] {
    const Allocation* const found = memory().find(data);
    if (found == nullptr || found->kind != MemoryKind::kPinned) return cudaErrorInvalidValue;
    *flags = found->flags;
    return cudaSuccess;
  });
}

cudaError_t cudaHostRegister(void* data, size_t bytes, unsigned int) {
  return call("cudaHostRegister", [&] {
    const cudaError_t refused = refuse_while_recording();
    if (refused != cudaSuccess) return refused;
    if (data == nullptr || bytes == 0) return cudaErrorInvalidValue;
    return memory().register_host(data, bytes, use_device()) ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered;
  });
}

/// Waits for all work first, as freeing does.
cudaError_t cudaHostUnregister(void* data) {
  return release_call("cudaHostUnregister", [&] {
    const cudaError_t refused = refuse_while_recording();
    if (refused != cudaSuccess) return refused;
    finish_all();
    return memory().unregister_host(data) ? cudaSuccess : cudaErrorHostMemoryNotRegistered;
  });
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  return call("cudaMemGetInfo", [&] {
    *total_bytes = kDeviceBytes;
    *free_bytes = kDeviceBytes - memory().live_bytes_of(current_device());
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  return call("cudaPointerGetAttributes", [&] {
    *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, const_cast<void*>(data)};  // -2: as CUDA says
    const Allocation* const found = memory().find(data);
    if (const Registration* const registered = memory().find_registered(data))
      *attributes = {cudaMemoryTypeHost, registered->device, const_cast<void*>(data), const_cast<void*>(data)};
    if (found == nullptr) return cudaSuccess;
    attributes->device = found->device;
    attributes->devicePointer = const_cast<void*>(data);
    attributes->type = found->kind == MemoryKind::kDevice ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    if (found->kind == MemoryKind::kDevice) attributes->hostPointer = nullptr;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", [&] { return copy_now({to, bytes, from, bytes, bytes, 1}, kind); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", [&] { return copy_later({to, bytes, from, bytes, bytes, 1}, kind, stream); });
}

cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind) {
  return call("cudaMemcpy2D", [&] { return copy_now({to, to_pitch, from, from_pitch, width, height}, kind); });
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpy2DAsync",
              [&] { return copy_later({to, to_pitch, from, from_pitch, width, height}, kind, stream); });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return call("cudaMemset", [&] {
    WorkPointer work;
    const cudaError_t error = make_fill_work(to, value, bytes, work);
    return error != cudaSuccess ? error : do_now(std::move(work));
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", [&] {
    WorkPointer work;
    const cudaError_t error = make_fill_work(to, value, bytes, work);
    return error != cudaSuccess ? error : put(std::move(work), stream);
  });
}
