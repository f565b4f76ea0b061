// SPDX-License-Identifier: Apache-2.0
// Asks the CUDA runtime. Any error means "no GPU": without a driver the count is not even written.
#include <cuda_runtime_api.h>

#include "core/device.h"

namespace rmbg {

DeviceReport cuda_report() {
  DeviceReport report;
  report.built_with_cuda = true;
  report.cuda_version = std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  report.architectures = RMBG_CUDA_ARCHITECTURES;
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    report.problem = cudaGetErrorString(error);
    cudaGetLastError();  // so that a later call does not report this one
    return report;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) {
      cudaGetLastError();
      continue;
    }
    report.devices.push_back(
        {i, properties.name, properties.major, properties.minor, static_cast<std::int64_t>(properties.totalGlobalMem)});
  }
  if (report.devices.empty()) report.problem = "no CUDA device";
  return report;
}

}  // namespace rmbg
