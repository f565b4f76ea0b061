// SPDX-License-Identifier: Apache-2.0
// Threads, blocks, barriers and shared memory.
#include "cuda_pipeline_primitives.h"
#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

/// sums[block] = the sum of the block's 256 numbers, as a tree.
__global__ void __launch_bounds__(256) sum_blocks(const int* values, int* sums) {
  __shared__ int part[256];
  const unsigned thread = threadIdx.x;
  part[thread] = values[blockIdx.x * 256 + thread];
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (thread < half) part[thread] += part[thread + half];
    __syncthreads();
  }
  if (thread == 0) sums[blockIdx.x] = part[0];
}

const Case reduction("a reduction with barriers gives the same sums in every order", [] {
  constexpr int kBlocks = 7;
  std::vector<int> values(kBlocks * 256), expected(kBlocks, 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int>(i * i % 1000);
    expected[i / 256] += values[i];
  }
  for (const char* order : {"forward", "backward", "shuffled"}) {
    const Setting setting("RMBG_STAND_IN_ORDER", order);
    const Stream stream;
    const Numbers in(values.size()), out(kBlocks);
    CHECK_OK(cudaMemcpy(in.data, values.data(), values.size() * sizeof(int), cudaMemcpyDefault));
    CHECK_OK(launch(sum_blocks, dim3(kBlocks), dim3(256), 0, stream.handle, in.data, out.data));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
    CHECK(out.read() == expected);
  }
});

/// Reverses the block's numbers through dynamic shared memory; `before` is what lay there at first.
__global__ void reverse(int* values, int* before) {
  int* const all = reinterpret_cast<int*>(stand_in::dynamic_shared());
  if (threadIdx.x == 0) before[blockIdx.x] = all[1];
  __syncthreads();
  all[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = all[blockDim.x - 1 - threadIdx.x];
}

const Case dynamic("dynamic shared memory is a block's own and not initialised", [] {
  const Stream stream;
  const Numbers values(4), before(2);
  const int numbers[] = {1, 2, 3, 4};
  CHECK_OK(cudaMemcpy(values.data, numbers, sizeof(numbers), cudaMemcpyDefault));
  CHECK_OK(launch(reverse, dim3(2), dim3(4), 16, stream.handle, values.data, before.data));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  CHECK((values.read() == std::vector<int>{1, 2, 3, 4}));
  CHECK((before.read() == std::vector<int>(2, static_cast<int>(0xCDCDCDCDu))));
  // One byte less than is used, rounded up to 16, is too little by 16.
  CHECK(dies("", [&] {
    CHECK_OK(launch(reverse, dim3(1), dim3(8), 16, stream.handle, values.data, before.data));
    cudaStreamSynchronize(stream.handle);
  }));
});

/// Moves a word a thread through shared memory with an asynchronous copy, `shift` bytes beside a word.
__global__ void move_words(const int* from, int shift, bool wait, int* to) {
  int* const all = reinterpret_cast<int*>(stand_in::dynamic_shared());
  __pipeline_memcpy_async(all + threadIdx.x, reinterpret_cast<const unsigned char*>(from + threadIdx.x) + shift, 4);
  __pipeline_commit();
  to[threadIdx.x] = all[threadIdx.x];
  if (!wait) return;
  __pipeline_wait_prior(0);
  __syncthreads();
  to[threadIdx.x] += all[(threadIdx.x + 1) % blockDim.x];
}

const Case async("an asynchronous copy is done in the wait, which must come, and between whole words", [] {
  const Stream stream;
  const Numbers from(4), to(4);
  const int numbers[] = {1, 2, 3, 4};
  CHECK_OK(cudaMemcpy(from.data, numbers, sizeof(numbers), cudaMemcpyDefault));
  const auto move = [&](int shift, bool wait) {
    CHECK_OK(launch(move_words, dim3(1), dim3(4), 16, stream.handle, from.data, shift, wait, to.data));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
  };
  move(0, true);
  constexpr int kBefore = static_cast<int>(0xCDCDCDCDu);
  CHECK((to.read() == std::vector<int>{kBefore + 2, kBefore + 3, kBefore + 4, kBefore + 1}));
  CHECK(dies("before it waited for its asynchronous copies", [&] { move(0, false); }));
  CHECK(dies("multiples of its size", [&] { move(1, true); }));
});

/// Threads past `count` leave before the barrier; the others add up what the block's last of them wrote.
__global__ void leave_early(int count, int* result) {
  __shared__ int last;
  if (static_cast<int>(threadIdx.x) >= count) return;
  if (static_cast<int>(threadIdx.x) == count - 1) last = 5;
  __syncthreads();
  atomicAdd(result, last);
}

const Case early_return("threads that have returned do not hold up a barrier", [] {
  for (const char* order : {"forward", "backward", "shuffled"}) {
    const Setting setting("RMBG_STAND_IN_ORDER", order);
    const Stream stream;
    const Numbers result(1);
    CHECK_OK(cudaMemset(result.data, 0, sizeof(int)));
    CHECK_OK(launch(leave_early, dim3(3), dim3(64), 0, stream.handle, 10, result.data));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
    CHECK(result.read()[0] == 3 * 10 * 5);
  }
});

/// Which thread of the grid came when.
__global__ void come(int* counter, int* who, uint3* places) {
  const unsigned block = blockIdx.x + gridDim.x * blockIdx.y;
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int turn = atomicAdd(counter, 1);
  who[turn] = static_cast<int>(block * blockDim.x * blockDim.y * blockDim.z + thread);
  places[turn] = threadIdx;
}

std::vector<int> order_of_threads(const char* order) {
  const Setting setting("RMBG_STAND_IN_ORDER", order);
  const Stream stream;
  const Numbers counter(1), who(6 * 12), places(3 * 6 * 12);
  CHECK_OK(cudaMemset(counter.data, 0, sizeof(int)));
  CHECK_OK(launch(come, dim3(3, 2), dim3(2, 3, 2), 0, stream.handle, counter.data, who.data,
                  reinterpret_cast<uint3*>(places.data)));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  return who.read();
}

const Case orders("blocks and threads come in the order asked for, each once", [] {
  std::vector<int> forward(72), backward(72);
  for (int i = 0; i < 72; ++i) backward[71 - i] = forward[i] = i;
  CHECK(order_of_threads("forward") == forward);
  CHECK(order_of_threads("backward") == backward);
  std::vector<int> shuffled = order_of_threads("shuffled"), sorted(72);
  CHECK(shuffled != forward);
  for (const int i : shuffled) ++sorted[i];
  CHECK(sorted == std::vector<int>(72, 1));
});

const Case shapes("a launch that no GPU can do is refused", [] {
  const Stream stream;
  const Numbers memory(1);
  const auto attempt = [&](dim3 grid, dim3 block, std::size_t shared) {
    const cudaError_t error = launch(fill, grid, block, shared, stream.handle, memory.data, 0, 0);
    CHECK(cudaGetLastError() == error);
    return error;
  };
  CHECK_OK(attempt(dim3(1), dim3(1024), 48 * 1024));
  CHECK(attempt(dim3(1), dim3(1025), 0) == cudaErrorInvalidConfiguration);
  CHECK(attempt(dim3(1), dim3(64, 32), 0) == cudaErrorInvalidConfiguration);
  CHECK(attempt(dim3(1), dim3(1, 1, 65), 0) == cudaErrorInvalidConfiguration);
  CHECK(attempt(dim3(0), dim3(1), 0) == cudaErrorInvalidConfiguration);
  CHECK(attempt(dim3(1, 65536), dim3(1), 0) == cudaErrorInvalidConfiguration);
  CHECK(attempt(dim3(1), dim3(1), 48 * 1024 + 1) == cudaErrorInvalidValue);
  CHECK(cudaLaunchKernel(&memory, dim3(1), dim3(1), nullptr, 0, stream.handle) == cudaErrorInvalidDeviceFunction);
});

}  // namespace
}  // namespace stand_in_test
