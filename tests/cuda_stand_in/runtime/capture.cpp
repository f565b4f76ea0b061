// SPDX-License-Identifier: Apache-2.0
#include "runtime/capture.h"

#include <utility>

#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/handles.h"
#include "stand_in.h"

namespace stand_in {
namespace {

thread_local cudaStreamCaptureMode t_mode = cudaStreamCaptureModeGlobal;  // of the thread, not of a capture

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
  if (t_mode == cudaStreamCaptureModeRelaxed || mode == cudaStreamCaptureModeRelaxed) return false;
  return thread == std::this_thread::get_id() ||
         (t_mode == cudaStreamCaptureModeGlobal && mode == cudaStreamCaptureModeGlobal);
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

cudaError_t refuse_on_device(int device) {
  cudaError_t error = refuse_while_recording();
  live<CUstream_st>().for_each([&](CUstream_st& stream) {
    if (stream.device != device || stream.capture == nullptr) return;
    stream.capture->invalid = true;
    error = cudaErrorStreamCaptureUnsupported;
  });
  return error;
}

bool is_refusal(cudaError_t error) {
  return error == cudaErrorStreamCaptureUnsupported || error == cudaErrorStreamCaptureImplicit;
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

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return release_call("cudaThreadExchangeStreamCaptureMode", [&] {
    if (*mode < cudaStreamCaptureModeGlobal || *mode > cudaStreamCaptureModeRelaxed) return cudaErrorInvalidValue;
    std::swap(t_mode, *mode);
    return cudaSuccess;
  });
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

namespace {

thread_local cudaStream_t t_captured = nullptr;  // by rmbg_stand_in_begin_capture

}  // namespace

int rmbg_stand_in_begin_capture(int mode) {
  if (t_captured != nullptr) return cudaErrorIllegalState;
  const cudaError_t error = cudaStreamCreateWithFlags(&t_captured, cudaStreamNonBlocking);
  if (error != cudaSuccess) return error;
  return cudaStreamBeginCapture(t_captured, static_cast<cudaStreamCaptureMode>(mode));
}

int rmbg_stand_in_end_capture() {
  cudaGraph_t graph = nullptr;
  const cudaError_t error = cudaStreamEndCapture(t_captured, &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaStreamDestroy(std::exchange(t_captured, nullptr));
  return error;
}

unsigned long long rmbg_stand_in_captured_stream() { return reinterpret_cast<unsigned long long>(t_captured); }
