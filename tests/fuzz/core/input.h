// SPDX-License-Identifier: Apache-2.0
// A fuzzer's bytes read as numbers. Where they end, zeros follow, so that short inputs are simple cases.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "core/error.h"

namespace rmbg::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  template <typename Number>
  Number take() {
    Number value{};
    const std::size_t bytes = sizeof(value) < left_ ? sizeof(value) : left_;
    if (bytes > 0) std::memcpy(&value, data_, bytes);
    data_ += bytes;
    left_ -= bytes;
    return value;
  }
  int between(int low, int high) {
    const auto span = static_cast<std::uint32_t>(high - low) + 1;
    return low + static_cast<int>(take<std::uint16_t>() % span);
  }
  bool flag() { return (take<std::uint8_t>() & 1) != 0; }
  bool rarely() { return take<std::uint8_t>() == 255; }
  /// One of the values that break arithmetic, or any bits at all: NaN and infinities are among them.
  float any_float() {
    constexpr float kHostile[] = {0.0f, -0.0f, 1.0f, -1.0f, 1e-45f, 1e-38f, 3.4e38f, -3.4e38f, 255.0f, 0.5f};
    const int which = between(0, 12);
    return which < 10 ? kHostile[which] : which == 10 ? take<std::uint8_t>() * 0.1f : take<float>();
  }
  /// Samples: repeated from a few bytes, so that a large image needs no large input.
  void fill(std::uint8_t* samples, std::size_t count) {
    std::uint32_t state = take<std::uint32_t>() | 1u;
    const bool flat = flag();
    for (std::size_t i = 0; i < count; ++i) {
      if (!flat) state = state * 1664525u + 1013904223u;
      samples[i] = static_cast<std::uint8_t>(state >> 24);
    }
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

/// Calls what may refuse its arguments. Any other exception ends the program, and the fuzzer reports the input.
template <typename Call>
bool accepted(const Call& call) {
  try {
    call();
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  } catch (const Error&) {
    return false;
  }
}

/// Ends the program if a rule is broken.
inline void require(bool good) {
  if (!good) __builtin_trap();
}

}  // namespace rmbg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
