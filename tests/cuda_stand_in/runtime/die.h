// SPDX-License-Identifier: Apache-2.0
// Ends the process, for faults of the code under test that no CUDA error code reports.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace stand_in {

[[noreturn]] inline void die(const std::string& message) {
  std::fprintf(stderr, "cuda_stand_in: %s\n", message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace stand_in
