// SPDX-License-Identifier: Apache-2.0
// The runtime's calls about streams, and the launch of a kernel. (Recording: capture.cpp.)
#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/device.h"
#include "runtime/handles.h"
#include "runtime/stream.h"
#include "runtime/work.h"

namespace stand_in {
namespace {

/// A stream that may be waited for or asked by this thread.
cudaError_t find_to_wait(cudaStream_t handle, CUstream_st*& stream) {
  stream = find_stream(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  const cudaError_t refused = refuse_on(*stream);
  return refused != cudaSuccess ? refused : refuse_while_recording();
}

cudaError_t wait_while_recorded(CUstream_st& stream, const CUevent_st& event) {
  const unsigned long id = stream.capture->id;
  if (event.captured_by == id) return cudaSuccess;  // a chain is in order as it is
  if (event.captured_by != 0) return spoil(id, cudaErrorStreamCaptureMerge);
  return event.mark == nullptr ? cudaSuccess : spoil(id, cudaErrorStreamCaptureIsolation);
}

}  // namespace
}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return call("cudaStreamCreate", [&] {
    *stream = live<CUstream_st>().add(std::make_unique<CUstream_st>(use_device()));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return call("cudaStreamCreateWithFlags", [&] {
    if (flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    *stream = live<CUstream_st>().add(std::make_unique<CUstream_st>(use_device()));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return release_call("cudaStreamDestroy", [&] {
    if (!live<CUstream_st>().has(handle)) return cudaErrorInvalidResourceHandle;
    finish(*handle);
    live<CUstream_st>().remove(handle);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call("cudaStreamSynchronize", [&] {
    CUstream_st* stream;
    const cudaError_t error = find_to_wait(handle, stream);
    if (error == cudaSuccess) finish(*stream);
    return error;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call("cudaStreamQuery", [&] {
    CUstream_st* stream;
    const cudaError_t error = find_to_wait(handle, stream);
    if (error != cudaSuccess) return error;
    // The first query must report pending work; polling must come to an end.
    if (!stream->queue.empty() && !stream->asked) {
      stream->asked = true;
      return cudaErrorNotReady;
    }
    finish(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int) {
  return call("cudaStreamWaitEvent", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr || !live<CUevent_st>().has(event)) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) return wait_while_recorded(*stream, *event);
    // CUDA would record this stream too; nothing here needs recordings that fork.
    if (event->captured_by != 0) return spoil(event->captured_by, cudaErrorNotSupported);
    if (event->mark == nullptr || event->mark->reached) return cudaSuccess;
    return submit(*stream, std::make_shared<WaitWork>(event->mark));
  });
}

cudaError_t cudaLaunchKernel(const void* entry, dim3 grid, dim3 block, void** arguments, size_t shared_bytes,
                             cudaStream_t handle) {
  return call("cudaLaunchKernel", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr || stream->device != current_device()) return cudaErrorInvalidResourceHandle;
    WorkPointer work;
    const cudaError_t error = make_kernel_work(entry, grid, block, shared_bytes, arguments, work);
    return error != cudaSuccess ? error : submit(*stream, std::move(work));
  });
}
