// SPDX-License-Identifier: Apache-2.0
// Allocations, copies, and what happens to those who touch memory that they should not.
#include <cstdint>
#include <cstring>

#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

__global__ void write_at(char* data, long at) { data[at] = 1; }

void write(char* data, long at) {
  const Stream stream;
  CHECK_OK(launch(write_at, dim3(1), dim3(1), 0, stream.handle, data, at));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
}

const Case allocation("memory is aligned, counted, and filled with what nobody expects", [] {
  const long before = rmbg_stand_in_live("device_bytes");
  char* data = nullptr;
  CHECK_OK(cudaMalloc(&data, 1000));
  CHECK(reinterpret_cast<std::uintptr_t>(data) % 256 == 0);
  CHECK(rmbg_stand_in_live("device_bytes") == before + 1000);
  unsigned char byte = 0;
  CHECK_OK(cudaMemcpy(&byte, data + 999, 1, cudaMemcpyDeviceToHost));
  CHECK(byte == 0xCD);
  CHECK(cudaFree(data + 1) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(data) == cudaErrorInvalidValue);
  CHECK_OK(cudaFree(data));
  CHECK(cudaFree(data) == cudaErrorInvalidValue);
  CHECK_OK(cudaFree(nullptr));
  CHECK(rmbg_stand_in_live("device_bytes") == before);
  CHECK(cudaMalloc(&data, std::size_t{9} << 30) == cudaErrorMemoryAllocation);
});

const Case fresh("copies of bytes that nobody wrote are counted", [] {
  const Stream stream;
  const Numbers numbers(5), copied(5);
  CHECK_OK(launch(fill, dim3(3), dim3(1), 0, stream.handle, numbers.data, 3, 7));
  CHECK_OK(cudaStreamSynchronize(stream.handle));
  const auto copy = [&](const int* from, std::size_t count) {
    const long before = rmbg_stand_in_fresh_bytes_copied();
    CHECK_OK(cudaMemcpy(copied.data, from, count * sizeof(int), cudaMemcpyDefault));
    return rmbg_stand_in_fresh_bytes_copied() - before;
  };
  CHECK(copy(numbers.data, 3) == 0);
  CHECK(copy(numbers.data, 5) == 2 * sizeof(int));
  const int own[5] = {static_cast<int>(0xCDCDCDCDu)};  // not memory of the runtime
  CHECK(copy(own, 5) == 0);
  rmbg_stand_in_reset();
  CHECK(rmbg_stand_in_fresh_bytes_copied() == 0);
});

const Case registering("others' memory can be registered as pinned, once", [] {
  std::vector<int> numbers(10);
  unsigned flags = 7;
  cudaPointerAttributes found{};
  CHECK(cudaHostUnregister(numbers.data()) == cudaErrorHostMemoryNotRegistered);
  CHECK_OK(cudaHostRegister(numbers.data() + 2, 4 * sizeof(int), 0));
  for (const int begin : {0, 2, 5})
    CHECK(cudaHostRegister(numbers.data() + begin, 4 * sizeof(int), 0) == cudaErrorHostMemoryAlreadyRegistered);
  CHECK_OK(cudaHostRegister(numbers.data() + 6, 4 * sizeof(int), 0));
  CHECK_OK(cudaPointerGetAttributes(&found, &numbers[5]));
  CHECK(found.type == cudaMemoryTypeHost && found.device == 0);
  CHECK(cudaHostGetFlags(&flags, &numbers[5]) == cudaErrorInvalidValue);  // of memory of cudaHostAlloc only
  CHECK_OK(cudaPointerGetAttributes(&found, &numbers[1]));
  CHECK(found.type == cudaMemoryTypeUnregistered);
  CHECK(cudaHostUnregister(&numbers[3]) == cudaErrorHostMemoryNotRegistered);
  CHECK_OK(cudaHostUnregister(&numbers[2]));
  CHECK_OK(cudaHostUnregister(&numbers[6]));
  int* pinned = nullptr;
  CHECK_OK(cudaHostAlloc(&pinned, 40, cudaHostAllocPortable));
  CHECK_OK(cudaHostGetFlags(&flags, pinned + 9));
  CHECK(flags == cudaHostAllocPortable);
  CHECK(cudaHostRegister(pinned, 40, 0) == cudaErrorHostMemoryAlreadyRegistered);
  CHECK_OK(cudaFreeHost(pinned));
});

const Case pointers("pointers are known for what they are", [] {
  const Numbers device(10);
  int* pinned = nullptr;
  int local = 0;
  CHECK_OK(cudaHostAlloc(&pinned, 40, cudaHostAllocPortable));
  const auto type = [](const void* data) {
    cudaPointerAttributes attributes{};
    CHECK_OK(cudaPointerGetAttributes(&attributes, data));
    return attributes.type;
  };
  CHECK(type(device.data + 9) == cudaMemoryTypeDevice);
  CHECK(type(device.data + 10) == cudaMemoryTypeUnregistered);
  CHECK(type(pinned) == cudaMemoryTypeHost);
  CHECK(type(&local) == cudaMemoryTypeUnregistered);
  pinned[9] = 3;  // the host may
  CHECK_OK(cudaFreeHost(pinned));
  CHECK(type(pinned) == cudaMemoryTypeUnregistered);
});

const Case ranges("copies outside allocations and in wrong directions are refused", [] {
  const Numbers device(10);
  int host[20] = {};
  CHECK(cudaMemcpy(device.data, host, 44, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, device.data + 1, 40, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, device.data, 40, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, nullptr, 4, cudaMemcpyDefault) == cudaErrorInvalidValue);
  CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
  CHECK_OK(cudaMemcpy(host, device.data, 40, cudaMemcpyDefault));
  int* freed = nullptr;
  CHECK_OK(cudaMalloc(&freed, 40));
  CHECK_OK(cudaFree(freed));
  CHECK(cudaMemcpy(host, freed, 40, cudaMemcpyDefault) == cudaErrorInvalidValue);
});

const Case rows("copies of rows keep to their pitches", [] {
  const Numbers device(6);
  const int host[] = {1, 2, 9, 3, 4, 9, 5, 6};
  CHECK_OK(cudaMemcpy2D(device.data, 8, host, 12, 8, 3, cudaMemcpyDefault));
  CHECK((device.read() == std::vector<int>{1, 2, 3, 4, 5, 6}));
  CHECK(cudaMemcpy2D(device.data, 4, host, 12, 8, 3, cudaMemcpyDefault) == cudaErrorInvalidPitchValue);
});

const Case faults("writing beside an allocation ends the process", [] {
  char* odd = nullptr;
  char* even = nullptr;
  CHECK_OK(cudaMalloc(&odd, 1001));
  CHECK_OK(cudaMalloc(&even, 1024));
  write(odd, 1000);
  write(even, 1023);
  CHECK(dies("behind the end of 1001 bytes of the memory of device 0", [=] { write(odd, 1001); }));
  CHECK(dies("before the begin of 1001 bytes", [=] { write(odd, -1); }));
  CHECK(dies("", [=] { write(even, 1024); }));  // the guard page
  CHECK(dies("", [=] { write(odd, -5000); }));
  CHECK_OK(cudaFree(odd));
  CHECK(dies("", [=] { write(odd, 0); }));
  CHECK_OK(cudaFree(even));
});

const Case closed("the host cannot touch device memory, unless it is opened", [] {
  const Numbers device(1);
  CHECK(dies("", [&] { *const_cast<volatile int*>(device.data) = 1; }));
  const Setting setting("RMBG_STAND_IN_OPEN", "1");
  const Numbers open(1);
  *open.data = 5;
  CHECK(open.read()[0] == 5);
});

}  // namespace
}  // namespace stand_in_test
