// SPDX-License-Identifier: Apache-2.0
// Devices, streams and copies by the CUDA runtime. Without a driver the device count is not even written.
#include "core/cuda_stream.h"
#include "core/device.h"
#include "core/fork.h"

namespace rmbg {

namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// CUDA reports "driver version is insufficient" also where there is no driver, and "initialization error" in a child.
std::string problem_text(cudaError_t error) {
  int driver = 0;
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
    if (driver == 0) return "no NVIDIA driver on this machine";
    return "the NVIDIA driver knows CUDA " + version_text(driver) + " and this build needs " +
           version_text(CUDART_VERSION) + ": update the driver";
  }
  if (error == cudaErrorInitializationError && fork_generation() > 0)
    return "CUDA was used before this process was forked; start it with multiprocessing's method 'spawn'";
  return cudaGetErrorString(error);
}

}  // namespace

DeviceReport cuda_report() {
  DeviceReport report;
  report.built_with_cuda = true;
  report.cuda_version = version_text(CUDART_VERSION);
  report.architectures = RMBG_CUDA_ARCHITECTURES;
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    report.problem = problem_text(error);
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

int select_device(int device) {
  int before = 0;
  check(cudaGetDevice(&before), "asking for the current GPU");
  check(cudaSetDevice(device), "selecting the GPU");
  return before;
}

std::shared_ptr<void> hold_device(int device, bool pushed) { return std::make_shared<DeviceScope>(device, pushed); }

std::shared_ptr<void> make_stream(Stream& stream) {
  auto owner = std::make_shared<CudaStream>();
  stream = owner->view();
  return owner;
}

bool is_capturing(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  // An error means that a stream which this one waits for is being captured: the calls that follow will report it.
  if (cudaStreamIsCapturing(cuda_stream(stream), &status) == cudaSuccess) return status != cudaStreamCaptureStatusNone;
  cudaGetLastError();
  return false;
}

void check_not_capturing(Stream stream, const char* whose) {
  if (!is_capturing(stream)) return;
  throw CudaError(
      std::string(whose) +
      " is being captured into a CUDA graph, and a frame is a graph of its own; run the engine outside of the capture");
}

void order_streams(int device, Stream earlier, Stream later) {
  const DeviceScope scope(device);
  CudaEvent point;
  point.record(cuda_stream(earlier));
  point.make_wait(cuda_stream(later));
}

void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, cuda_stream(stream)), "copying in GPU memory");
}

}  // namespace rmbg
