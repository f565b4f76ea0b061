// SPDX-License-Identifier: Apache-2.0
// Graphs: their order, their changes, and recording streams into them.
#include "test/stand_in_test.h"

namespace stand_in_test {

namespace {

struct Graph {
  Graph() { CHECK_OK(cudaGraphCreate(&handle, 0)); }
  explicit Graph(cudaGraph_t made) : handle(made) {}
  ~Graph() { cudaGraphDestroy(handle); }

  cudaGraphNode_t multiply_add(int* to, int factor, int summand, std::vector<cudaGraphNode_t> after) {
    void* arguments[] = {&to, &factor, &summand};
    const cudaKernelNodeParams parameters = parameters_of(arguments);
    cudaGraphNode_t node = nullptr;
    CHECK_OK(cudaGraphAddKernelNode(&node, handle, after.data(), after.size(), &parameters));
    return node;
  }
  static cudaKernelNodeParams parameters_of(void** arguments) {
    cudaKernelNodeParams parameters{};
    parameters.func = const_cast<void*>(stand_in::kernel_entry(stand_in_test::multiply_add));
    parameters.gridDim = parameters.blockDim = dim3(1);
    parameters.kernelParams = arguments;
    return parameters;
  }
  cudaGraph_t handle = nullptr;
};

struct Exec {
  explicit Exec(const Graph& graph) { CHECK_OK(cudaGraphInstantiate(&handle, graph.handle, 0)); }
  ~Exec() { cudaGraphExecDestroy(handle); }
  cudaGraphExec_t handle = nullptr;
};

void set(const Numbers& numbers, int value) {
  CHECK_OK(cudaMemcpy(numbers.data, &value, sizeof(int), cudaMemcpyDefault));
}

int run(const Exec& exec, const Numbers& number) {
  const Stream stream;
  set(number, 0);
  CHECK_OK(cudaGraphLaunch(exec.handle, stream.handle));
  CHECK(number.read()[0] == 0);
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  return number.read()[0];
}

const Case dependencies("a graph keeps its order, and no other", [] {
  const Numbers number(1);
  Graph chain, loose;
  const cudaGraphNode_t first = chain.multiply_add(number.data, 10, 1, {});
  const cudaGraphNode_t second = chain.multiply_add(number.data, 10, 2, {first});
  chain.multiply_add(number.data, 10, 3, {first, second});
  for (int i = 1; i <= 3; ++i) loose.multiply_add(number.data, 10, i, {});
  const Exec chained(chain), free(loose);
  for (const char* order : {"forward", "backward", "shuffled"}) {
    const Setting setting("RMBG_STAND_IN_ORDER", order);
    CHECK(run(chained, number) == 123);
  }
  const Setting setting("RMBG_STAND_IN_ORDER", "backward");
  CHECK(run(free, number) == 321);
});

const Case changes("changed arguments hold for later launches only, while the graph is there", [] {
  const Stream stream;
  const Numbers number(1);
  set(number, 0);
  auto graph = std::make_unique<Graph>();
  const cudaGraphNode_t node = graph->multiply_add(number.data, 10, 1, {});
  const Exec exec(*graph);
  int factor = 10, summand = 2;
  void* arguments[] = {const_cast<int**>(&number.data), &factor, &summand};
  const cudaKernelNodeParams parameters = Graph::parameters_of(arguments);
  CHECK_OK(cudaGraphLaunch(exec.handle, stream.handle));
  CHECK_OK(cudaGraphExecKernelNodeSetParams(exec.handle, node, &parameters));
  summand = 3;  // copied already
  CHECK_OK(cudaGraphLaunch(exec.handle, stream.handle));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  CHECK(number.read()[0] == 12);
  graph.reset();
  CHECK(cudaGraphExecKernelNodeSetParams(exec.handle, node, &parameters) == cudaErrorInvalidValue);
  CHECK_OK(cudaGraphLaunch(exec.handle, stream.handle));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  CHECK(number.read()[0] == 122);
});

const Case copies("copies in a graph change only between the same memories", [] {
  const Numbers a(2), b(2);
  int host[2] = {1, 2};
  Graph graph;
  cudaGraphNode_t node = nullptr;
  CHECK_OK(cudaGraphAddMemcpyNode1D(&node, graph.handle, nullptr, 0, a.data, host, 8, cudaMemcpyDefault));
  const Exec exec(graph);
  const auto change = [&](void* to, const void* from, std::size_t bytes) {
    return cudaGraphExecMemcpyNodeSetParams1D(exec.handle, node, to, from, bytes, cudaMemcpyDefault);
  };
  CHECK(change(a.data, b.data, 8) == cudaErrorInvalidValue);
  CHECK(change(a.data, host, 0) == cudaErrorInvalidValue);
  cudaMemcpy3DParms parameters{};
  parameters.srcPtr = make_cudaPitchedPtr(host, 4, 4, 2);
  parameters.dstPtr = make_cudaPitchedPtr(b.data, 4, 4, 2);
  parameters.extent = make_cudaExtent(4, 2, 1);
  parameters.kind = cudaMemcpyDefault;
  CHECK(cudaGraphExecMemcpyNodeSetParams(exec.handle, node, &parameters) == cudaErrorInvalidValue);
  CHECK_OK(change(b.data, host, 4));
  run(exec, a);
  CHECK((b.read() == std::vector<int>{1, static_cast<int>(0xCDCDCDCDu)}));
});

const Case origins("copies in a graph change only to memory of the same origin", [] {
  const Setting devices("RMBG_STAND_IN_DEVICES", "2");
  constexpr unsigned kPortable = cudaHostAllocPortable;
  const Numbers number(1);
  int *ours = nullptr, *other = nullptr, *mapped = nullptr, *of_second = nullptr;
  std::vector<int> registered(2), pageable(1);
  CHECK_OK(cudaHostAlloc(&ours, sizeof(int), kPortable));
  CHECK_OK(cudaHostAlloc(&other, sizeof(int), kPortable));
  CHECK_OK(cudaHostAlloc(&mapped, sizeof(int), kPortable | cudaHostAllocMapped));
  CHECK_OK(cudaHostRegister(registered.data(), 2 * sizeof(int), 0));
  CHECK_OK(cudaSetDevice(1));
  CHECK_OK(cudaHostAlloc(&of_second, sizeof(int), kPortable));
  const Numbers number_of_second(1);
  CHECK_OK(cudaSetDevice(0));
  const auto fits = [&](int* to, int* from, int* new_to, int* new_from) {
    Graph graph;
    cudaGraphNode_t node = nullptr;
    CHECK_OK(cudaGraphAddMemcpyNode1D(&node, graph.handle, nullptr, 0, to, from, sizeof(int), cudaMemcpyDefault));
    const Exec exec(graph);
    const cudaError_t error =
        cudaGraphExecMemcpyNodeSetParams1D(exec.handle, node, new_to, new_from, sizeof(int), cudaMemcpyDefault);
    CHECK(error == cudaSuccess || error == cudaErrorInvalidValue);
    return error == cudaSuccess;
  };
  CHECK(fits(number.data, ours, number.data, other));
  CHECK(fits(number.data, registered.data(), number.data, &registered[1]));
  for (int* const from : {mapped, registered.data(), of_second, pageable.data(), number.data}) {
    CHECK(!fits(number.data, ours, number.data, from));
    CHECK(!fits(number.data, from, number.data, ours));
    if (from != number.data) CHECK(!fits(from, number.data, ours, number.data));
  }
  CHECK(!fits(number.data, ours, number_of_second.data, ours));
  CHECK_OK(cudaHostUnregister(registered.data()));
  for (int* const pinned : {ours, other, mapped, of_second}) CHECK_OK(cudaFreeHost(pinned));
});

const Case children("a child is cloned, and events are recorded by each run", [] {
  const Numbers number(1);
  const Event start, end;
  Graph child, parent;
  child.multiply_add(number.data, 10, 2, {});
  cudaGraphNode_t before = nullptr, inside = nullptr, last = nullptr;
  CHECK_OK(cudaGraphAddEventRecordNode(&before, parent.handle, nullptr, 0, start.handle));
  const cudaGraphNode_t first = parent.multiply_add(number.data, 10, 1, {before});
  CHECK_OK(cudaGraphAddChildGraphNode(&inside, parent.handle, &first, 1, child.handle));
  child.multiply_add(number.data, 10, 9, {});  // too late for the clone
  CHECK_OK(cudaGraphAddEventRecordNode(&last, parent.handle, &inside, 1, end.handle));
  std::size_t count = 0;
  CHECK_OK(cudaGraphGetNodes(parent.handle, nullptr, &count));
  CHECK(count == 4);
  CHECK(cudaGraphAddChildGraphNode(&inside, child.handle, &first, 1, child.handle) == cudaErrorInvalidValue);
  const Exec exec(parent);
  CHECK(run(exec, number) == 12);
  float ms = -1;
  CHECK_OK(cudaEventElapsedTime(&ms, start.handle, end.handle));
  CHECK(ms >= 0);
});

const Case recording("recording puts work into a graph and does none of it", [] {
  const Stream stream;
  const Event event;
  const Numbers number(1), cleared(1);
  set(number, 5);
  set(cleared, 5);
  cudaGraph_t made = nullptr;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CHECK_OK(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
  CHECK_OK(cudaStreamIsCapturing(stream.handle, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  CHECK_OK(launch(multiply_add, dim3(1), dim3(1), 0, stream.handle, number.data, 10, 1));
  CHECK_OK(cudaEventRecord(event.handle, stream.handle));
  CHECK_OK(cudaStreamWaitEvent(stream.handle, event.handle));
  CHECK_OK(cudaMemcpyAsync(cleared.data, number.data, sizeof(int), cudaMemcpyDefault, stream.handle));
  CHECK_OK(cudaMemsetAsync(cleared.data, 0, 1, stream.handle));
  CHECK_OK(cudaStreamEndCapture(stream.handle, &made));
  const Graph graph(made);
  CHECK_OK(cudaDeviceSynchronize());
  CHECK(number.read()[0] == 5);
  std::size_t count = 0;
  CHECK_OK(cudaGraphGetNodes(graph.handle, nullptr, &count));
  CHECK(count == 3);
  const Exec exec(graph);
  CHECK(run(exec, number) == 1);
  CHECK(cleared.read()[0] == 0);
});

const Case spoiled("what CUDA forbids while recording spoils the recording", [] {
  const Numbers number(1);
  const Graph empty;
  const Exec exec(empty);
  const auto expect_spoiled = [](auto&& forbidden) {
    const Stream stream;
    cudaGraph_t graph = nullptr;
    CHECK_OK(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
    CHECK(forbidden(stream.handle) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaMemsetAsync(nullptr, 0, 0, stream.handle) == cudaErrorStreamCaptureInvalidated);
    CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
    CHECK_OK(cudaStreamSynchronize(stream.handle));
  };
  expect_spoiled([](cudaStream_t stream) { return cudaStreamSynchronize(stream); });
  expect_spoiled([](cudaStream_t stream) { return cudaStreamQuery(stream); });
  expect_spoiled([&](cudaStream_t stream) { return cudaGraphLaunch(exec.handle, stream); });
  expect_spoiled([](cudaStream_t) { return cudaDeviceSynchronize(); });
  expect_spoiled([&](cudaStream_t) { return cudaMemset(number.data, 0, 1); });
  expect_spoiled([](cudaStream_t) {
    void* data = nullptr;
    return cudaMalloc(&data, 1);
  });
  const Stream stream;
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed) == cudaErrorStreamCaptureUnsupported);
  CHECK_OK(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeRelaxed));
  CHECK(cudaGraphLaunch(exec.handle, stream.handle) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaErrorStreamCaptureInvalidated);
});

}  // namespace
}  // namespace stand_in_test
