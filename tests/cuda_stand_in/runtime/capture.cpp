// SPDX-License-Identifier: Apache-2.0
#include "runtime/capture.h"

#include <utility>

#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/handles.h"

namespace stand_in {
namespace {

unsigned long next_id() {
  static unsigned long latest = 0;
  return ++latest;
}

}  // namespace

Capture::Capture(cudaStreamCaptureMode mode)
    : mode(mode), thread(std::this_thread::get_id()), id(next_id()), graph(std::make_unique<CUgraph_st>()) {}

cudaError_t Capture::record(WorkPointer work) {
  if (invalid) return cudaErrorStreamCaptureInvalidated;
  if (work == nullptr) return cudaSuccess;
  Step step;
  step.work = std::move(work);
  if (!graph->nodes.empty()) step.after = {graph->nodes.size() - 1};
  graph->add(std::move(step));
  return cudaSuccess;
}

bool Capture::forbids() const {
  return mode == cudaStreamCaptureModeGlobal ||
         (mode == cudaStreamCaptureModeThreadLocal && thread == std::this_thread::get_id());
}

cudaError_t refuse_while_recording() {
  cudaError_t error = cudaSuccess;
  live<CUstream_st>().for_each([&error](CUstream_st& stream) {
    if (stream.capture == nullptr || !stream.capture->forbids()) return;
    stream.capture->invalid = true;
    error = cudaErrorStreamCaptureUnsupported;
  });
  return error;
}

cudaError_t refuse_on(CUstream_st& stream) {
  if (stream.capture == nullptr) return cudaSuccess;
  stream.capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t spoil(unsigned long id, cudaError_t error) {
  live<CUstream_st>().for_each([id](CUstream_st& stream) {
    if (stream.capture != nullptr && stream.capture->id == id) stream.capture->invalid = true;
  });
  return error;
}

}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", [&] {
    // Default streams cannot be recorded; (cudaStream_t)2 could, by CUDA, but nothing here needs it.
    if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread)
      return cudaErrorStreamCaptureUnsupported;
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    stream->capture = std::make_unique<Capture>(mode);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  *graph = nullptr;
  // Whatever the error, the stream is recorded no more.
  const cudaError_t error = release_call("cudaStreamEndCapture", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture == nullptr) return cudaErrorIllegalState;
    if (stream->capture->thread != std::this_thread::get_id() && stream->capture->mode != cudaStreamCaptureModeRelaxed)
      return spoil(stream->capture->id, cudaErrorStreamCaptureWrongThread);
    const std::unique_ptr<Capture> ended = std::move(stream->capture);
    if (ended->invalid) return cudaErrorStreamCaptureInvalidated;
    *graph = live<CUgraph_st>().add(std::move(ended->graph));
    return cudaSuccess;
  });
  if (error != cudaSuccess && *graph != nullptr) {
    const std::lock_guard lock(runtime_mutex());
    live<CUgraph_st>().remove(std::exchange(*graph, nullptr));
  }
  return error;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}
