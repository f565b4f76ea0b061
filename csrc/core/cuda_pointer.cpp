// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_pointer.h"

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace rmbg {
namespace {

cudaPointerAttributes attributes_of(const void* data) {
  cudaPointerAttributes attributes{};
  attributes.type = cudaMemoryTypeUnregistered;
  if (cudaPointerGetAttributes(&attributes, data) != cudaSuccess) {
    cudaGetLastError();
    attributes.type = cudaMemoryTypeUnregistered;
  }
  return attributes;
}

PinnedOrigin origin_of(const void* data) {
  const cudaPointerAttributes found = attributes_of(data);
  if (found.type != cudaMemoryTypeHost) return {};
  unsigned flags = 0;
  if (cudaHostGetFlags(&flags, const_cast<void*>(data)) == cudaSuccess) return {static_cast<int>(flags), found.device};
  cudaGetLastError();
  return {PinnedOrigin::kRegistered, found.device};  // only cudaHostAlloc sets flags
}

const void* last_byte(const void* data, std::size_t bytes) { return static_cast<const char*>(data) + bytes - 1; }

}  // namespace

PinnedOrigin pinned_origin(const void* data, std::size_t bytes) {
  const PinnedOrigin begin = origin_of(data);
  return begin == origin_of(last_byte(data, bytes)) ? begin : PinnedOrigin{};
}

int device_of(const void* data) {
  const cudaPointerAttributes found = attributes_of(data);
  return found.type == cudaMemoryTypeDevice || found.type == cudaMemoryTypeManaged ? found.device : -1;
}

void check_on_device(const void* data, std::size_t bytes, int device, const char* what) {
  const std::string gpu = "cuda:" + std::to_string(device);
  for (const void* byte : {data, last_byte(data, bytes)}) {
    const cudaPointerAttributes found = attributes_of(byte);
    if (found.type != cudaMemoryTypeDevice && found.type != cudaMemoryTypeManaged)
      throw std::invalid_argument(std::string(what) + " is not memory of " + gpu +
                                  ": it was freed, or it is host memory; expected memory of this GPU");
    if (found.type == cudaMemoryTypeDevice && found.device != device)
      throw std::invalid_argument(std::string(what) + " is on cuda:" + std::to_string(found.device) +
                                  ", but this engine runs on " + gpu +
                                  "; copy it there, or create an engine for that GPU");
  }
}

}  // namespace rmbg
