// SPDX-License-Identifier: Apache-2.0
// Names of places in code, for messages about faults of kernels.
#pragma once

#include <string>

namespace stand_in {

/// "function at file:line" of an address in code, as far as addr2line knows.
std::string place_of_code(const void* code);

/// "kernel K, block (x, y, z), thread (x, y, z)" of what runs now; empty outside kernels.
std::string running_thread();

/// Ends the process with a message that names the kernel.
[[noreturn]] void die_in_kernel(const std::string& message);

}  // namespace stand_in
