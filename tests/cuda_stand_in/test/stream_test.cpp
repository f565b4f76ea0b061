// SPDX-License-Identifier: Apache-2.0
// Laziness: nothing is done before somebody waits. Events, and waiting for other streams.
#include <thread>

#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

constexpr int kFresh = static_cast<int>(0xCDCDCDCDu);

struct Pinned {
  explicit Pinned(int value) {
    CHECK_OK(cudaHostAlloc(&data, sizeof(int), cudaHostAllocPortable));
    *data = value;
  }
  ~Pinned() { cudaFreeHost(data); }
  int* data = nullptr;
};

const Case lazy("who does not wait gets wrong bytes", [] {
  const Stream stream;
  const Numbers number(1);
  const Pinned in(7), out(0);
  CHECK_OK(cudaMemcpyAsync(number.data, in.data, sizeof(int), cudaMemcpyDefault, stream.handle));
  CHECK_OK(cudaMemcpyAsync(out.data, number.data, sizeof(int), cudaMemcpyDefault, stream.handle));
  CHECK(*out.data == 0);
  CHECK(number.read()[0] == kFresh);  // cudaMemcpy does not wait for this stream
  *in.data = 8;                       // too early
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  CHECK(*out.data == 8);
});

const Case eagerness("in the eager schedule work is done at once", [] {
  const Setting setting("RMBG_STAND_IN_SCHEDULE", "eager");
  const Stream stream;
  const Numbers number(1);
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, stream.handle, number.data, 1, 4));
  CHECK(number.read()[0] == 4);
});

const Case queries("queries say 'not ready' once, and then end", [] {
  const Stream stream;
  const Event event;
  const Numbers number(1);
  CHECK_OK(cudaStreamQuery(stream.handle));
  CHECK_OK(cudaEventQuery(event.handle));
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, stream.handle, number.data, 1, 4));
  CHECK_OK(cudaEventRecord(event.handle, stream.handle));
  CHECK(cudaEventQuery(event.handle) == cudaErrorNotReady);
  CHECK(number.read()[0] == kFresh);
  CHECK(cudaStreamQuery(stream.handle) == cudaErrorNotReady);
  CHECK(cudaGetLastError() == cudaErrorNotReady);
  CHECK_OK(cudaEventQuery(event.handle));
  CHECK(number.read()[0] == 4);
  CHECK_OK(cudaStreamQuery(stream.handle));
});

const Case waiting("a wait brings the other stream up to the point recorded then", [] {
  const Stream a, b;
  const Event event;
  const Numbers first(1), later(1), copied(1);
  CHECK_OK(cudaStreamWaitEvent(b.handle, event.handle));  // never recorded: nothing to wait for
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, a.handle, first.data, 1, 1));
  CHECK_OK(cudaEventRecord(event.handle, a.handle));
  CHECK_OK(cudaStreamWaitEvent(b.handle, event.handle));
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, a.handle, later.data, 1, 2));
  CHECK_OK(cudaEventRecord(event.handle, a.handle));
  CHECK_OK(cudaMemcpyAsync(copied.data, first.data, sizeof(int), cudaMemcpyDefault, b.handle));
  CHECK_OK(cudaStreamSynchronize(b.handle));
  CHECK(copied.read()[0] == 1);
  CHECK(later.read()[0] == kFresh);
  CHECK_OK(cudaEventSynchronize(event.handle));
  CHECK(later.read()[0] == 2);
});

const Case unordered("without a wait, the order of streams is not kept", [] {
  const Stream a, b;
  const Numbers first(1), copied(1);
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, a.handle, first.data, 1, 1));
  CHECK_OK(cudaMemcpyAsync(copied.data, first.data, sizeof(int), cudaMemcpyDefault, b.handle));
  CHECK_OK(cudaStreamSynchronize(b.handle));
  CHECK(copied.read()[0] == kFresh);
});

/// Two streams, and no event between them: what the second copies of what the first writes. The host waits for both,
/// so that the order is right when all work is done late, and when it is done at once.
int copied_without_event(const char* schedule, int seed) {
  const Setting setting("RMBG_STAND_IN_SCHEDULE", schedule);
  const Setting seeded("RMBG_STAND_IN_SEED", std::to_string(seed).c_str());
  const Stream a, b;
  const Numbers number(1), copied(1);
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, a.handle, number.data, 1, 3));
  CHECK_OK(launch(multiply_add, dim3(1), dim3(1), 0, a.handle, number.data, 2, 1));
  CHECK_OK(cudaMemcpyAsync(copied.data, number.data, sizeof(int), cudaMemcpyDefault, b.handle));
  CHECK_OK(cudaStreamSynchronize(a.handle));
  CHECK_OK(cudaStreamSynchronize(b.handle));
  return copied.read()[0];
}

const Case randomness("a missing wait that neither the late nor the eager schedule shows, the random one does", [] {
  CHECK(copied_without_event("late", 0) == 7);
  CHECK(copied_without_event("eager", 0) == 7);
  int wrong = 0;
  for (int seed = 1; seed <= 30; ++seed) {
    const int copied = copied_without_event("random", seed);
    CHECK(copied == 7 || copied == 3 || copied == kFresh);
    copied_without_event("random", 0);
    CHECK(copied_without_event("random", seed) == copied);  // the same seed again: the same order
    wrong += copied == 7 ? 0 : 1;
  }
  CHECK(wrong >= 3 && wrong <= 27);
});

const Case random_order("in the random schedule streams keep their order, and wait for events", [] {
  const Setting setting("RMBG_STAND_IN_SCHEDULE", "random");
  for (int seed = 1; seed <= 30; ++seed) {
    const Setting seeded("RMBG_STAND_IN_SEED", std::to_string(seed).c_str());
    const Stream a, b;
    const Event event;
    const Numbers number(1), copied(1);
    CHECK_OK(launch(fill, dim3(1), dim3(1), 0, a.handle, number.data, 1, 3));
    CHECK_OK(launch(multiply_add, dim3(1), dim3(1), 0, a.handle, number.data, 2, 1));
    CHECK_OK(cudaEventRecord(event.handle, a.handle));
    CHECK_OK(cudaStreamWaitEvent(b.handle, event.handle));
    CHECK_OK(cudaMemcpyAsync(copied.data, number.data, sizeof(int), cudaMemcpyDefault, b.handle));
    CHECK_OK(cudaStreamSynchronize(b.handle));
    CHECK(copied.read()[0] == 7);
  }
});

const Case threads_default("each thread has a default stream of its own", [] {
  const Numbers number(1);
  CHECK_OK(launch(fill, dim3(1), dim3(1), 0, cudaStreamPerThread, number.data, 1, 4));
  std::thread([] { CHECK_OK(cudaStreamSynchronize(cudaStreamPerThread)); }).join();
  CHECK(number.read()[0] == kFresh);
  CHECK_OK(cudaStreamSynchronize(cudaStreamPerThread));
  CHECK(number.read()[0] == 4);
});

const Case others_that_wait("freeing, destroying and waiting for the device do all work", [] {
  const Pinned out(0);
  const Numbers number(1);
  int value = 0;
  const auto expect_after = [&](auto&& wait) {
    Stream stream;
    CHECK_OK(launch(fill, dim3(1), dim3(1), 0, stream.handle, number.data, 1, ++value));
    CHECK_OK(cudaMemcpyAsync(out.data, number.data, sizeof(int), cudaMemcpyDefault, stream.handle));
    CHECK(*out.data == value - 1);
    wait(stream);
    CHECK(*out.data == value);
  };
  expect_after([](Stream&) { CHECK_OK(cudaDeviceSynchronize()); });
  expect_after([](Stream&) { const Numbers freed(1); });
  expect_after([](Stream& stream) { CHECK_OK(cudaStreamDestroy(std::exchange(stream.handle, nullptr))); });
});

const Case times("the time between events", [] {
  const Stream stream;
  const Event start, end, untimed(cudaEventDisableTiming), never;
  float ms = -1;
  CHECK_OK(cudaEventRecord(start.handle, stream.handle));
  CHECK_OK(cudaEventRecord(end.handle, stream.handle));
  CHECK_OK(cudaEventRecord(untimed.handle, stream.handle));
  CHECK(cudaEventElapsedTime(&ms, start.handle, end.handle) == cudaErrorNotReady);
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  CHECK_OK(cudaEventElapsedTime(&ms, start.handle, end.handle));
  CHECK(ms >= 0 && ms < 1000);
  CHECK(cudaEventElapsedTime(&ms, start.handle, untimed.handle) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventElapsedTime(&ms, start.handle, never.handle) == cudaErrorInvalidResourceHandle);
});

}  // namespace
}  // namespace stand_in_test
