// SPDX-License-Identifier: Apache-2.0
// The runtime's calls about devices.
#include <algorithm>
#include <cstring>

#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/device.h"
#include "runtime/grid.h"
#include "runtime/memory.h"
#include "runtime/settings.h"
#include "runtime/stream.h"

namespace stand_in {
namespace {

constexpr int kProcessors = 4;
constexpr int kWarp = 32;
constexpr int kThreadsPerProcessor = 2048;
constexpr int kMajor = 9;

bool exists(int device) { return device >= 0 && device < device_count(); }

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp found{};
  std::strcpy(found.name, "CPU stand-in");
  std::memcpy(found.uuid.bytes, "rmbg stand-in 00", sizeof(found.uuid.bytes));
  found.uuid.bytes[15] = static_cast<char>('0' + device);
  found.totalGlobalMem = kDeviceBytes;
  found.sharedMemPerBlock = found.sharedMemPerBlockOptin = kMaxSharedBytes;
  found.regsPerBlock = 65536;
  found.warpSize = kWarp;
  found.maxThreadsPerBlock = kMaxBlockThreads;
  const int block[3] = {kMaxBlockThreads, kMaxBlockThreads, kMaxBlockZ};
  const int grid[3] = {static_cast<int>(kMaxGridX), kMaxGridYZ, kMaxGridYZ};
  std::copy(block, block + 3, found.maxThreadsDim);
  std::copy(grid, grid + 3, found.maxGridSize);
  found.major = kMajor;
  found.multiProcessorCount = kProcessors;
  found.canMapHostMemory = found.concurrentKernels = found.unifiedAddressing = 1;
  found.pciBusID = 1 + device;
  found.asyncEngineCount = 1;
  found.l2CacheSize = 1 << 20;
  found.maxThreadsPerMultiProcessor = kThreadsPerProcessor;
  return found;
}

cudaError_t attribute_of(const cudaDeviceProp& device, cudaDeviceAttr attribute, int& value) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return value = device.maxThreadsPerBlock, cudaSuccess;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
    case cudaDevAttrMaxBlockDimZ:
      return value = device.maxThreadsDim[attribute - cudaDevAttrMaxBlockDimX], cudaSuccess;
    case cudaDevAttrMaxGridDimX:
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      return value = device.maxGridSize[attribute - cudaDevAttrMaxGridDimX], cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return value = static_cast<int>(device.sharedMemPerBlock), cudaSuccess;
    case cudaDevAttrWarpSize:
      return value = device.warpSize, cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      return value = device.multiProcessorCount, cudaSuccess;
    case cudaDevAttrIntegrated:
      return value = device.integrated, cudaSuccess;
    case cudaDevAttrCanMapHostMemory:
      return value = device.canMapHostMemory, cudaSuccess;
    case cudaDevAttrPciBusId:
      return value = device.pciBusID, cudaSuccess;
    case cudaDevAttrPciDeviceId:
      return value = device.pciDeviceID, cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return value = device.maxThreadsPerMultiProcessor, cudaSuccess;
    case cudaDevAttrUnifiedAddressing:
      return value = device.unifiedAddressing, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return value = device.major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return value = device.minor, cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

}  // namespace

}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaGetDeviceCount(int* count) {
  return call("cudaGetDeviceCount", [&] {
    *count = device_count();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", [&] {
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    select_device(device);
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call("cudaGetDeviceProperties", [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    *properties = properties_of(device);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call("cudaDeviceGetAttribute", [&] {
    return exists(device) ? attribute_of(properties_of(device), attribute, *value) : cudaErrorInvalidDevice;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", [] {
    const cudaError_t refused = refuse_on_device(current_device());
    if (refused == cudaSuccess) finish_device(current_device());
    return refused;
  });
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = device_count() == 0 ? 0 : CUDART_VERSION;
  return cudaSuccess;
}
