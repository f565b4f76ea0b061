// SPDX-License-Identifier: Apache-2.0
// Failures on request, lost devices, several devices or none, and work from several threads.
#include <cstring>
#include <thread>

#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

const Case requested("a call fails when it was asked to, once", [] {
  void* data = nullptr;
  CHECK(rmbg_stand_in_fail("cudaMalloc", -1, cudaErrorMemoryAllocation) == 1);
  CHECK(rmbg_stand_in_fail("cudaMalloc", 1, cudaErrorMemoryAllocation) == 0);
  const long before = rmbg_stand_in_calls("cudaMalloc");
  CHECK_OK(cudaMalloc(&data, 4));
  CHECK_OK(cudaFree(data));
  CHECK(cudaMalloc(&data, 4) == cudaErrorMemoryAllocation);
  CHECK(cudaPeekAtLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK_OK(cudaGetLastError());
  CHECK_OK(cudaMalloc(&data, 4));
  CHECK_OK(cudaFree(data));
  CHECK(rmbg_stand_in_calls("cudaMalloc") == before + 3);
  CHECK(rmbg_stand_in_live("nonsense") == -1);
});

const Case lost("behind a fatal error everything fails, and gives back what it has", [] {
  const long streams = rmbg_stand_in_live("streams"), bytes = rmbg_stand_in_live("device_bytes");
  {
    const Stream stream, other;
    const Event event;
    const Numbers number(1);
    CHECK_OK(launch(fill, dim3(1), dim3(1), 0, stream.handle, number.data, 1, 1));
    CHECK_OK(cudaEventRecord(event.handle, stream.handle));
    CHECK_OK(cudaStreamWaitEvent(other.handle, event.handle));
    rmbg_stand_in_fail("cudaStreamSynchronize", 0, cudaErrorIllegalAddress);
    CHECK(cudaStreamSynchronize(stream.handle) == cudaErrorIllegalAddress);
    CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
    CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
    CHECK(cudaEventSynchronize(event.handle) == cudaErrorIllegalAddress);
  }
  CHECK(rmbg_stand_in_live("streams") == streams);
  CHECK(rmbg_stand_in_live("device_bytes") == bytes);
  rmbg_stand_in_reset();
  CHECK_OK(cudaDeviceSynchronize());
});

const Case freed("a graph that copies freed memory loses the device", [] {
  const Stream stream;
  int host = 0;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaGraphNode_t node = nullptr;
  CHECK_OK(cudaGraphCreate(&graph, 0));
  {
    const Numbers number(1);
    CHECK_OK(cudaGraphAddMemcpyNode1D(&node, graph, nullptr, 0, number.data, &host, 4, cudaMemcpyDefault));
  }
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK_OK(cudaGraphLaunch(exec, stream.handle));
  CHECK(cudaStreamSynchronize(stream.handle) == cudaErrorIllegalAddress);
  rmbg_stand_in_reset();
  CHECK_OK(cudaGraphExecDestroy(exec));
  CHECK_OK(cudaGraphDestroy(graph));
});

const Case devices("streams, events and memory belong to a device", [] {
  const Setting setting("RMBG_STAND_IN_DEVICES", "2");
  const Numbers number(1);
  const Stream first;
  const Event event;
  CHECK_OK(cudaSetDevice(1));
  const Numbers other_number(1);
  const Stream second;
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
  CHECK(launch(fill, dim3(1), dim3(1), 0, first.handle, number.data, 1, 1) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventRecord(event.handle, second.handle) == cudaErrorInvalidResourceHandle);
  cudaPointerAttributes attributes{};
  CHECK_OK(cudaPointerGetAttributes(&attributes, other_number.data));
  CHECK(attributes.device == 1);
  CHECK_OK(cudaMemcpy(other_number.data, number.data, sizeof(int), cudaMemcpyDefault));
  CHECK(dies("", [&] {  // a kernel does not reach another device's memory
    CHECK_OK(launch(fill, dim3(1), dim3(1), 0, second.handle, number.data, 1, 1));
    cudaStreamSynchronize(second.handle);
  }));
  std::thread([] {
    int device = -1;
    CHECK_OK(cudaGetDevice(&device));
    CHECK(device == 0);
  }).join();
  CHECK_OK(cudaSetDevice(0));
});

const Case none("without a device there is no driver, and every call says so", [] {
  const Setting setting("RMBG_STAND_IN_DEVICES", "0");
  int count = -1;
  void* data = nullptr;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
  CHECK(cudaMalloc(&data, 1) == cudaErrorInsufficientDriver);
  CHECK(std::strcmp(cudaGetErrorName(cudaErrorInsufficientDriver), "cudaErrorInsufficientDriver") == 0);
  CHECK(std::strcmp(cudaGetErrorString(cudaErrorInsufficientDriver),
                    "CUDA driver version is insufficient for CUDA runtime version") == 0);
});

__global__ void add_up(int* sum) {
  __shared__ int part[64];
  part[threadIdx.x] = 1;
  __syncthreads();
  for (unsigned half = 32; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *sum += part[0];
}

const Case threads("several threads of the host at once", [] {
  std::vector<std::thread> workers;
  std::vector<int> sums(4, 0);
  for (std::size_t i = 0; i < sums.size(); ++i)
    workers.emplace_back([&sums, i] {
      const Stream stream;
      const Numbers sum(1);
      CHECK_OK(cudaMemsetAsync(sum.data, 0, sizeof(int), stream.handle));
      for (int k = 0; k < 50; ++k) CHECK_OK(launch(add_up, dim3(5), dim3(64), 0, stream.handle, sum.data));
      CHECK_OK(cudaStreamSynchronize(stream.handle));
      sums[i] = sum.read()[0];
    });
  for (std::thread& worker : workers) worker.join();
  CHECK(sums == std::vector<int>(4, 50 * 5 * 64));
});

}  // namespace
}  // namespace stand_in_test
