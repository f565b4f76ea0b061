// SPDX-License-Identifier: Apache-2.0
// Undefined behaviour in kernels ends the process: above all vectors at addresses that are no multiples of their size.
#include "test/stand_in_test.h"

namespace stand_in_test {
namespace {

constexpr int kReadLine = __LINE__ + 5, kWriteLine = __LINE__ + 11;

/// Reads a Vector `shift` bytes behind the begin of memory.
template <typename Vector>
__global__ void read_vector(const unsigned char* from, int shift, Vector* to) {
  *to = *reinterpret_cast<const Vector*>(from + shift);
}

/// Writes one.
template <typename Vector>
__global__ void write_vector(unsigned char* to, int shift, Vector value) {
  *reinterpret_cast<Vector*>(to + shift) = value;
}

template <typename Vector>
void check_alignment(int wrong) {
  const Stream stream;
  const Numbers memory(16), result(4);
  CHECK_OK(cudaMemset(memory.data, 0, 16 * sizeof(int)));
  auto* const bytes = reinterpret_cast<unsigned char*>(memory.data);
  const auto read = [&](int shift) {
    CHECK_OK(launch(read_vector<Vector>, dim3(1), dim3(1), 0, stream.handle, bytes, shift,
                    reinterpret_cast<Vector*>(result.data)));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
  };
  const auto write = [&](int shift) {
    CHECK_OK(launch(write_vector<Vector>, dim3(1), dim3(1), 0, stream.handle, bytes, shift, Vector{}));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
  };
  read(sizeof(Vector));
  write(sizeof(Vector));
  const auto at = [](int line) { return "undefined_test.cu:" + std::to_string(line); };
  for (const std::string& text : {std::string("misaligned"), at(kReadLine), std::string("read_vector")})
    CHECK(dies(text.c_str(), [&] { read(wrong); }));
  for (const std::string& text : {std::string("misaligned"), at(kWriteLine), std::string("write_vector")})
    CHECK(dies(text.c_str(), [&] { write(wrong); }));
}

const Case alignment("a misaligned vector ends the process; the message names kernel and place", [] {
  check_alignment<unsigned>(2);
  check_alignment<uint2>(4);
  check_alignment<uint4>(8);
  check_alignment<float4>(4);
  check_alignment<uchar4>(1);
});

__global__ void add_to(int* number, int value) { *number += value; }
__global__ void shift_by(int* number, int bits) { *number = 1 << bits; }
__global__ void pick(int* number, int index) {
  __shared__ int numbers[4];
  for (int& each : numbers) each = 3;
  *number = numbers[index];
}

const Case arithmetic("overflow, shifts by too much and indices out of bounds end the process", [] {
  const Stream stream;
  const Numbers number(1);
  CHECK_OK(cudaMemset(number.data, 0x7F, sizeof(int)));
  const auto run = [&](void (*kernel)(int*, int), int value) {
    CHECK_OK(launch(kernel, dim3(1), dim3(1), 0, stream.handle, number.data, value));
    CHECK_OK(cudaStreamSynchronize(stream.handle));
  };
  CHECK(dies("overflow of a sum", [&] { run(add_to, 0x7F7F7F7F); }));
  CHECK(dies("a shift by too many bits", [&] { run(shift_by, 32); }));
  CHECK(dies("an index out of bounds", [&] { run(pick, 4); }));
  run(shift_by, 30);
  run(pick, 3);
  CHECK(number.read()[0] == 3);
});

}  // namespace
}  // namespace stand_in_test
