// SPDX-License-Identifier: Apache-2.0
// Shared by the stand-in's tests: checks, cases that register themselves, and helpers to launch and copy.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "stand_in.h"

namespace stand_in_test {

/// A test; it registers itself. Give it as a static object: Case name("name", [] { ... });
struct Case {
  Case(const char* name, void (*body)());
};

void check(bool right, const char* what, const char* file, int line);
#define CHECK(condition) stand_in_test::check((condition), #condition, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK((call) == cudaSuccess)

/// Whether a child process that does this ends by a signal, having written such text.
bool dies(const char* text, const std::function<void()>& body);

/// An environment variable for the life of the object.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }

 private:
  const char* name_;
};

struct Stream {
  Stream() { CHECK_OK(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(handle); }
  cudaStream_t handle = nullptr;
};

struct Event {
  explicit Event(unsigned flags = cudaEventDefault) { CHECK_OK(cudaEventCreateWithFlags(&handle, flags)); }
  ~Event() { cudaEventDestroy(handle); }
  cudaEvent_t handle = nullptr;
};

/// Numbers in device memory.
struct Numbers {
  explicit Numbers(std::size_t count) : count(count) { CHECK_OK(cudaMalloc(&data, count * sizeof(int))); }
  ~Numbers() { cudaFree(data); }
  /// Waits for nothing but the copy itself.
  std::vector<int> read() const {
    std::vector<int> values(count);
    CHECK_OK(cudaMemcpy(values.data(), data, count * sizeof(int), cudaMemcpyDefault));
    return values;
  }
  std::size_t count;
  int* data = nullptr;
};

template <typename... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                   std::common_type_t<P>... arguments) {
  void* pointers[] = {&arguments..., nullptr};
  return cudaLaunchKernel(stand_in::kernel_entry(kernel), grid, block, pointers, shared_bytes, stream);
}

/// to[i] = value.
__global__ void fill(int* to, int count, int value);
/// *to = *to * factor + summand, by one thread: where the order matters.
__global__ void multiply_add(int* to, int factor, int summand);

}  // namespace stand_in_test
