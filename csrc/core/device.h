// SPDX-License-Identifier: Apache-2.0
// The CUDA devices of this machine, as far as this build can see them. Never throws for a missing driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/stream.h"

namespace rmbg {

struct DeviceInfo {
  int index;
  std::string name;
  int compute_major;
  int compute_minor;
  std::int64_t memory_bytes;
};

struct DeviceReport {
  bool built_with_cuda = false;
  std::string cuda_version;   // of the toolkit this was built with; empty without CUDA
  std::string architectures;  // as given to CMake
  std::string problem;        // CUDA's reason why there are no devices, or empty
  std::vector<DeviceInfo> devices;
};

DeviceReport cuda_report();

/// Makes a GPU current for the calling thread. Returns the previous one. Throws CudaError, UnavailableError.
int select_device(int device);

/// A DeviceScope (core/cuda_context.h), to be dropped on the same thread. Throws CudaError, UnavailableError.
std::shared_ptr<void> hold_device(int device, bool pushed = false);

/// Creates a stream of the current GPU that does not wait for the legacy default stream. It lives as long as the
/// returned object. Throws CudaError, UnavailableError.
std::shared_ptr<void> make_stream(Stream& stream);

/// Whether the stream is being captured into a CUDA graph; false if CUDA cannot tell.
bool is_capturing(Stream stream);

/// Throws CudaError if the stream is being captured: a frame's work cannot become part of another graph. `whose` names
/// the stream in the message.
void check_not_capturing(Stream stream, const char* whose);

/// Later work on `later` runs after the work that is on `earlier` now. Throws CudaError, UnavailableError.
void order_streams(int device, Stream earlier, Stream later);

/// Copies within GPU memory, on a stream. Throws CudaError, UnavailableError.
void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream);

}  // namespace rmbg
