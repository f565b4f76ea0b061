// SPDX-License-Identifier: Apache-2.0
// Owned streams and events. Destructors never throw. Creating and waiting do not disturb captures of other threads.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "core/cuda_check.h"
#include "core/cuda_context.h"
#include "core/stream.h"

namespace rmbg {

inline cudaStream_t cuda_stream(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }

/// A stream of the current device that does not wait for the legacy default stream.
class CudaStream {
 public:
  CudaStream() {
    const CaptureModeScope relaxed;
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  }
  ~CudaStream() {
    const CaptureModeScope relaxed;
    cudaStreamDestroy(stream_);
  }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t get() const { return stream_; }
  Stream view() const { return {stream_}; }
  void synchronize() const {
    const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
    check(cudaStreamSynchronize(stream_), "waiting for the GPU");
  }

 private:
  cudaStream_t stream_ = nullptr;
};

/// A point in a stream's work. Events without timing are cheaper.
class CudaEvent {
 public:
  explicit CudaEvent(bool timing = false) {
    const CaptureModeScope relaxed;
    check(cudaEventCreateWithFlags(&event_, timing ? cudaEventDefault : cudaEventDisableTiming), "creating an event");
  }
  ~CudaEvent() {
    if (event_ == nullptr) return;
    const CaptureModeScope relaxed;
    cudaEventDestroy(event_);
  }
  CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaEvent& operator=(CudaEvent&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }

  cudaEvent_t get() const { return event_; }
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "recording an event"); }
  /// Later work on `stream` starts after the event, or at once if it was never recorded.
  void make_wait(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Copies any host memory to the GPU and waits; for what is copied once.
inline void copy_and_wait(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "copying to the GPU");
  check(cudaStreamSynchronize(stream), "copying to the GPU");
}

}  // namespace rmbg
