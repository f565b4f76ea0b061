// SPDX-License-Identifier: Apache-2.0
// Races in shared memory, a barrier that is missing above all, and what must not be taken for a race.
#include "cuda_pipeline_primitives.h"
#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

constexpr int kThreads = 64;
constexpr const char* kRace = "a race in shared memory";

void run(void (*kernel)(int, int*), int fault, int* result) {
  const Stream stream;
  CHECK_OK(launch(kernel, dim3(2), dim3(kThreads), kThreads * sizeof(int), stream.handle, fault, result));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
}

/// Runs well without a fault, and with each of `faults` it dies in each order of threads.
void check_faults(void (*kernel)(int, int*), int faults) {
  for (const char* order : {"forward", "backward", "shuffled"}) {
    const Setting setting("RMBG_STAND_IN_ORDER", order);
    const Numbers result(kThreads);
    run(kernel, 0, result.data);
    for (int fault = 1; fault <= faults; ++fault) CHECK(dies(kRace, [&] { run(kernel, fault, result.data); }));
  }
}

constexpr int kSumLine = __LINE__ + 6;

/// The sum of the threads' numbers. Faults: the barrier after the writing is missing; the one between two steps.
__global__ void sum(int fault, int* result) {
  __shared__ int part[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  part[thread] = thread;
  if (fault != 1) __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) part[thread] += part[thread + half];
    if (fault != 2) __syncthreads();
  }
  if (thread == 0) *result = part[0];
}

const Case barriers("a missing barrier ends the process, whatever the order", [] {
  check_faults(sum, 2);
  const Numbers result(1);
  run(sum, 0, result.data);
  CHECK(result.read()[0] == kThreads * (kThreads - 1) / 2);
  const std::string wrote = "race_test.cu:" + std::to_string(kSumLine);
  const std::string read = "race_test.cu:" + std::to_string(kSumLine + 3);
  for (const char* text : {wrote.c_str(), read.c_str(), "of kernel stand_in_test::(anonymous namespace)::sum"})
    CHECK(dies(text, [&] { run(sum, 1, result.data); }));
});

/// All threads write one word, in dynamic memory. Faults: no barrier before it is written anew; two threads write it.
__global__ void take_turns(int fault, int* result) {
  int* const word = reinterpret_cast<int*>(stand_in::dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x);
  for (int turn = 0; turn < 4; ++turn) {
    if (thread == turn || (fault == 2 && thread == turn + 1)) *word = turn;
    __syncthreads();
    if (*word != turn) *result = -1;
    if (fault != 1) __syncthreads();
  }
}

const Case turns("a word that is read while it is written anew, or written twice, is a race",
                 [] { check_faults(take_turns, 2); });

/// Each thread has a byte of its own, next to those of others. Fault: two have the same.
__global__ void write_bytes(int fault, int* result) {
  __shared__ unsigned char bytes[kThreads];
  bytes[threadIdx.x & (fault == 1 ? ~1u : ~0u)] = 1;
  __syncthreads();
  result[threadIdx.x] = bytes[kThreads - 1 - threadIdx.x];
}

const Case bytes("neighbouring bytes are no race, the same byte is", [] { check_faults(write_bytes, 1); });

/// Threads count together. Faults: one reads, one writes while others still count.
__global__ void count(int fault, int* result) {
  __shared__ int counter;
  if (threadIdx.x == 0) counter = 0;
  __syncthreads();
  atomicAdd(&counter, 1);
  if (fault == 1 && threadIdx.x == 5) result[1] = counter;
  if (fault == 2 && threadIdx.x == 5) counter = 0;
  __syncthreads();
  if (threadIdx.x == 0) *result = counter;
}

const Case atomics("atomic operations race with others only", [] { check_faults(count, 2); });

/// Faults: a thread reads what it copies before it waits; others read it before a barrier; it is written meanwhile.
__global__ void copy(int fault, int* result) {
  __shared__ int words[kThreads];
  const unsigned thread = threadIdx.x;
  __pipeline_memcpy_async(words + thread, result + thread, sizeof(int));
  __pipeline_commit();
  if (fault == 1) result[thread] = words[thread];
  if (fault == 2) words[thread] = 0;
  __pipeline_wait_prior(0);
  if (fault != 3) __syncthreads();
  result[thread] = words[thread ^ 1];
}

const Case copies("an asynchronous copy is a write, from its begin to the wait", [] { check_faults(copy, 3); });

/// What a block finds in its shared memory.
__global__ void find(int* found) {
  __shared__ int left[kThreads];
  found[blockIdx.x * kThreads + threadIdx.x] = left[threadIdx.x];
  left[threadIdx.x] = 7;
}

const Case poison("static shared memory is poisoned for each block", [] {
  constexpr int kBlocks = 3;
  const Stream stream;
  const Numbers found(kBlocks * kThreads);
  for (int launches = 0; launches < 2; ++launches) {
    CHECK_OK(launch(find, dim3(kBlocks), dim3(kThreads), 0, stream.handle, found.data));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
    CHECK(found.read() == std::vector<int>(kBlocks * kThreads, static_cast<int>(0xCDCDCDCDu)));
  }
});

}  // namespace
}  // namespace stand_in_test
