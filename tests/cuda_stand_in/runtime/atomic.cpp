// SPDX-License-Identifier: Apache-2.0
// Only one thread of a kernel runs at a time, so nothing comes between the reading and the writing.
#include "kernel.h"
#include "runtime/race.h"

namespace stand_in {
namespace {

template <typename T>
T add(T* at, T value, const void* code) {
  touch_atomically(at, sizeof(T), code);
  return std::exchange(*at, *at + value);
}

template <typename T>
T larger(T* at, T value, const void* code) {
  touch_atomically(at, sizeof(T), code);
  return std::exchange(*at, max(*at, value));
}

}  // namespace

int add_atomically(int* at, int value) { return add(at, value, __builtin_return_address(0)); }
unsigned int add_atomically(unsigned int* at, unsigned int value) {
  return add(at, value, __builtin_return_address(0));
}
int max_atomically(int* at, int value) { return larger(at, value, __builtin_return_address(0)); }
unsigned int max_atomically(unsigned int* at, unsigned int value) {
  return larger(at, value, __builtin_return_address(0));
}

}  // namespace stand_in
