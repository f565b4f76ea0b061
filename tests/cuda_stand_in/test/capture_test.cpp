// SPDX-License-Identifier: Apache-2.0
// What captures forbid, to whom: the modes of captures and of threads, and memory that is not freed meanwhile.
#include <thread>

#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

constexpr cudaStreamCaptureMode kModes[] = {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                                            cudaStreamCaptureModeRelaxed};

/// A mode of this thread for the life of the object.
struct ThreadMode {
  explicit ThreadMode(cudaStreamCaptureMode mode) : mode(mode) {
    CHECK_OK(cudaThreadExchangeStreamCaptureMode(&this->mode));
  }
  ~ThreadMode() { cudaThreadExchangeStreamCaptureMode(&mode); }
  cudaStreamCaptureMode mode;
};

/// Captures an empty graph in this mode while `during()` runs; whether the capture is whole afterwards.
template <typename During>
bool whole_after(cudaStreamCaptureMode mode, During&& during) {
  const Stream stream;
  cudaGraph_t graph = nullptr;
  CHECK_OK(cudaStreamBeginCapture(stream.handle, mode));
  during();
  const bool whole = cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess;
  if (whole) CHECK_OK(cudaGraphDestroy(graph));
  return whole;
}

/// One call of each kind that captures forbid; the error of the first that was refused.
cudaError_t unsafe_calls(const Numbers& number, const Stream& other, const Event& event) {
  void *device = nullptr, *host = nullptr;
  int value = 0;
  for (const cudaError_t error :
       {cudaMalloc(&device, 4), cudaFree(device), cudaHostAlloc(&host, 4, cudaHostAllocDefault), cudaFreeHost(host),
        cudaMemcpy(&value, number.data, 4, cudaMemcpyDefault), cudaMemset(number.data, 0, 4),
        cudaStreamSynchronize(other.handle), cudaStreamQuery(other.handle), cudaEventSynchronize(event.handle),
        cudaEventQuery(event.handle)})
    if (error != cudaSuccess) return error;
  return cudaSuccess;
}

const Case exchange("a thread's mode is exchanged, and each thread has its own", [] {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  CHECK_OK(cudaThreadExchangeStreamCaptureMode(&mode));
  CHECK(mode == cudaStreamCaptureModeGlobal);
  std::thread([] {
    const ThreadMode own(cudaStreamCaptureModeThreadLocal);
    CHECK(own.mode == cudaStreamCaptureModeGlobal);
  }).join();
  CHECK_OK(cudaThreadExchangeStreamCaptureMode(&mode));
  CHECK(mode == cudaStreamCaptureModeRelaxed);
  mode = static_cast<cudaStreamCaptureMode>(3);
  CHECK(cudaThreadExchangeStreamCaptureMode(&mode) == cudaErrorInvalidValue);
});

const Case own_thread("a thread's own capture forbids, unless it or the thread is relaxed", [] {
  const Numbers number(1);
  const Stream other;
  const Event event;
  for (const cudaStreamCaptureMode of_capture : kModes)
    for (const cudaStreamCaptureMode of_thread : kModes) {
      const bool allowed = of_capture == cudaStreamCaptureModeRelaxed || of_thread == cudaStreamCaptureModeRelaxed;
      const bool whole = whole_after(of_capture, [&] {
        const ThreadMode own(of_thread);
        CHECK((unsafe_calls(number, other, event) == cudaSuccess) == allowed);
      });
      CHECK(whole == allowed);
    }
});

const Case other_thread("another thread's capture forbids where both it and the thread are in global mode", [] {
  const Numbers number(1);
  const Stream other;
  const Event event;
  for (const cudaStreamCaptureMode of_capture : kModes)
    for (const cudaStreamCaptureMode of_thread : kModes) {
      const bool forbidden = of_capture == cudaStreamCaptureModeGlobal && of_thread == cudaStreamCaptureModeGlobal;
      const bool whole = whole_after(of_capture, [&] {
        std::thread([&] {
          const ThreadMode own(of_thread);
          CHECK(unsafe_calls(number, other, event) == (forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess));
        }).join();
      });
      CHECK(whole != forbidden);
    }
});

const Case each("each unsafe call is refused, and spoils the capture", [] {
  const Numbers number(1);
  const Stream other;
  const Event event;
  void* host = nullptr;
  CHECK_OK(cudaHostAlloc(&host, 4, cudaHostAllocDefault));
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr, made = nullptr;
  CHECK_OK(cudaGraphCreate(&graph, 0));
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  const auto expect_spoiled = [](auto&& forbidden) {
    CHECK(!whole_after(cudaStreamCaptureModeGlobal,
                       [&] { std::thread([&] { CHECK(forbidden() == cudaErrorStreamCaptureUnsupported); }).join(); }));
  };
  void* data = nullptr;
  int value = 0;
  expect_spoiled([&] { return cudaMalloc(&data, 4); });
  expect_spoiled([&] { return cudaFree(number.data); });
  expect_spoiled([&] { return cudaHostAlloc(&data, 4, cudaHostAllocDefault); });
  expect_spoiled([&] { return cudaFreeHost(host); });
  expect_spoiled([&] { return cudaMemcpy(&value, number.data, 4, cudaMemcpyDefault); });
  expect_spoiled([&] { return cudaMemset(number.data, 0, 4); });
  expect_spoiled([&] { return cudaStreamSynchronize(other.handle); });
  expect_spoiled([&] { return cudaStreamQuery(other.handle); });
  expect_spoiled([&] { return cudaEventSynchronize(event.handle); });
  expect_spoiled([&] { return cudaEventQuery(event.handle); });
  expect_spoiled([&] { return cudaDeviceSynchronize(); });
  expect_spoiled([&] { return cudaGraphInstantiate(&made, graph, 0); });
  expect_spoiled([&] { return cudaGraphExecDestroy(exec); });
  CHECK_OK(cudaFreeHost(host));  // none of them was freed by the call that was refused
  CHECK_OK(cudaGraphExecDestroy(exec));
  CHECK_OK(cudaGraphDestroy(graph));
  CHECK_OK(cudaMemset(number.data, 0, 4));
});

const Case whole_device("no mode allows waiting for a device that captures", [] {
  for (const cudaStreamCaptureMode of_capture : kModes)
    CHECK(!whole_after(of_capture, [] {
      const ThreadMode relaxed(cudaStreamCaptureModeRelaxed);
      CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
    }));
});

const Case kept("a free that was refused leaves the memory as it was", [] {
  const long before = rmbg_stand_in_live("device_bytes");
  void* data = nullptr;
  CHECK_OK(cudaMalloc(&data, 64));
  CHECK(!whole_after(cudaStreamCaptureModeThreadLocal,
                     [&] { CHECK(cudaFree(data) == cudaErrorStreamCaptureUnsupported); }));
  CHECK(rmbg_stand_in_live("device_bytes") > before);
  rmbg_stand_in_fail("cudaFree", 0, cudaErrorStreamCaptureUnsupported);  // on request, too
  CHECK(cudaFree(data) == cudaErrorStreamCaptureUnsupported);
  CHECK(rmbg_stand_in_live("device_bytes") > before);
  CHECK_OK(cudaFree(data));
  CHECK(rmbg_stand_in_live("device_bytes") == before);
});

const Case relaxed_free("memory can be made and freed beside a capture in relaxed mode", [] {
  const long before = rmbg_stand_in_live("device_bytes");
  CHECK(whole_after(cudaStreamCaptureModeGlobal, [] {
    const ThreadMode relaxed(cudaStreamCaptureModeRelaxed);
    const Numbers number(4);
  }));
  CHECK(rmbg_stand_in_live("device_bytes") == before);
});

}  // namespace
}  // namespace stand_in_test
