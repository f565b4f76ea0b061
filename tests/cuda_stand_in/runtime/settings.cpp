// SPDX-License-Identifier: Apache-2.0
#include "runtime/settings.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>

#include "runtime/die.h"

namespace stand_in {
namespace {

std::string value_of(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_on(const char* name) {
  const std::string value = value_of(name);
  return !value.empty() && value != "0";
}

/// Numbers that look random and depend on the state alone (Steele et al., "SplitMix", 2014).
std::uint64_t random_number(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

}  // namespace

Order order() {
  const std::string value = value_of("RMBG_STAND_IN_ORDER");
  if (value.empty() || value == "forward") return Order::kForward;
  if (value == "backward") return Order::kBackward;
  if (value == "shuffled") return Order::kShuffled;
  die("RMBG_STAND_IN_ORDER is '" + value + "'; it may be forward, backward or shuffled");
}

Schedule schedule() {
  const std::string value = value_of("RMBG_STAND_IN_SCHEDULE");
  if (value.empty() || value == "late") return Schedule::kLate;
  if (value == "eager") return Schedule::kEager;
  if (value == "random") return Schedule::kRandom;
  die("RMBG_STAND_IN_SCHEDULE is '" + value + "'; it may be late, eager or random");
}

std::size_t random_below(std::size_t count) {
  static auto* const seed = new std::string;
  static std::uint64_t state = 0;
  std::string value = value_of("RMBG_STAND_IN_SEED");
  if (value != *seed) {
    state = std::strtoull(value.c_str(), nullptr, 10);
    *seed = std::move(value);
  }
  return random_number(state) % count;
}

bool open_memory() { return is_on("RMBG_STAND_IN_OPEN"); }

int device_count() {
  const std::string value = value_of("RMBG_STAND_IN_DEVICES");
  return value.empty() ? 1 : std::clamp(std::atoi(value.c_str()), 0, 32);  // a bit each in Memory::expose
}

// Steps of the same size, modulo the count, come to each number once where the two have no common factor. It needs no
// memory, which for the blocks of a grid could be much.
Permutation::Permutation(std::size_t count) : count_(std::max<std::size_t>(count, 1)), next_(0), step_(1) {
  const Order wanted = order();
  if (wanted == Order::kBackward) {
    next_ = count_ - 1;
    step_ = count_ == 1 ? 1 : count_ - 1;
  } else if (wanted == Order::kShuffled) {
    static thread_local std::uint64_t state = 0;
    next_ = random_number(state) % count_;
    do {
      step_ = 1 + random_number(state) % count_;
    } while (std::gcd(step_, count_) != 1);
  }
}

}  // namespace stand_in
