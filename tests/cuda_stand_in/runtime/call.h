// SPDX-License-Identifier: Apache-2.0
// What all runtime calls have in common: they run one at a time, are counted, fail on request, and keep the thread's
// last error.
#pragma once

#include <mutex>

#include "cuda_error.h"
#include "runtime/capture.h"

namespace stand_in {

std::mutex& runtime_mutex();

/// Whether the call fails before it does anything: on request, without a device, or after a fatal error.
cudaError_t begin_call(const char* name);
/// Keeps the error for cudaGetLastError, and returns it.
cudaError_t end_call(cudaError_t error);

/// Loses the device to this process: from now on every call fails with this error.
void lose_device(cudaError_t error);
/// The error it was lost with, or cudaSuccess.
cudaError_t lost();

/// In the random schedule: does some work of the streams (stream.h).
void go_on_at_random();

/// A complete call that runs `body()` and returns its error.
template <typename Body>
cudaError_t call(const char* name, Body&& body) {
  const std::lock_guard lock(runtime_mutex());
  const cudaError_t error = begin_call(name);
  const cudaError_t own = error != cudaSuccess ? error : body();
  go_on_at_random();
  return end_call(own);
}

/// The same for calls that free something: they free it even when they report an error, so whatever is still live was
/// leaked. Only a call that a capture forbids changes nothing.
template <typename Body>
cudaError_t release_call(const char* name, Body&& body) {
  const std::lock_guard lock(runtime_mutex());
  const cudaError_t error = begin_call(name);
  if (is_refusal(error)) return end_call(error);
  const cudaError_t own = body();
  go_on_at_random();
  return end_call(error != cudaSuccess ? error : own);
}

}  // namespace stand_in
