// SPDX-License-Identifier: Apache-2.0
// The runtime's calls about events.
#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/device.h"
#include "runtime/handles.h"
#include "runtime/stream.h"

namespace stand_in {
namespace {

cudaError_t create(cudaEvent_t* event, bool timing) {
  *event = live<CUevent_st>().add(std::make_unique<CUevent_st>(CUevent_st{use_device(), timing}));
  return cudaSuccess;
}

/// Whether an event may be waited for or asked by this thread.
cudaError_t check_to_wait(cudaEvent_t event) {
  if (!live<CUevent_st>().has(event)) return cudaErrorInvalidResourceHandle;
  if (event->captured_by != 0) return spoil(event->captured_by, cudaErrorCapturedEvent);
  return refuse_while_recording();
}

bool is_pending(const CUevent_st& event) { return event.mark != nullptr && !event.mark->reached; }

}  // namespace
}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return call("cudaEventCreate", [&] { return create(event, true); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return call("cudaEventCreateWithFlags", [&] { return create(event, (flags & cudaEventDisableTiming) == 0); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return release_call("cudaEventDestroy",
                      [&] { return live<CUevent_st>().remove(event) ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call("cudaEventRecord", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr || !live<CUevent_st>().has(event) || stream->device != event->device)
      return cudaErrorInvalidResourceHandle;
    event->asked = false;
    if (stream->capture != nullptr) {
      if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
      event->captured_by = stream->capture->id;
      event->mark.reset();
    } else {
      event->captured_by = 0;
      event->mark = mark_end(*stream);
    }
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call("cudaEventSynchronize", [&] {
    const cudaError_t error = check_to_wait(event);
    if (error == cudaSuccess) finish(event->mark);
    return error;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call("cudaEventQuery", [&] {
    const cudaError_t error = check_to_wait(event);
    if (error != cudaSuccess) return error;
    if (is_pending(*event) && !event->asked) {  // as in cudaStreamQuery
      event->asked = true;
      return cudaErrorNotReady;
    }
    finish(event->mark);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return call("cudaEventElapsedTime", [&] {
    for (const cudaEvent_t event : {start, end})
      if (!live<CUevent_st>().has(event) || !event->timing || event->mark == nullptr)
        return cudaErrorInvalidResourceHandle;
    if (is_pending(*start) || is_pending(*end)) return cudaErrorNotReady;
    *ms = std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
    return cudaSuccess;
  });
}
