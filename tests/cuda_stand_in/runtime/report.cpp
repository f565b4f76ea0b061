// SPDX-License-Identifier: Apache-2.0
#include "runtime/report.h"

#include <dlfcn.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>

#include "runtime/die.h"

namespace stand_in {

std::string place_of_code(const void* code) {
  Dl_info module;
  if (dladdr(code, &module) == 0) return "an unknown place";
  const auto offset = reinterpret_cast<std::uintptr_t>(code) - reinterpret_cast<std::uintptr_t>(module.dli_fbase);
  char number[32];
  std::snprintf(number, sizeof(number), "0x%" PRIxPTR, offset);
  std::string said;
  if (std::FILE* const out =
          popen(("addr2line -Cfpse '" + std::string(module.dli_fname) + "' " + number).c_str(), "r")) {
    char buffer[256];
    while (std::fgets(buffer, sizeof(buffer), out) != nullptr) said += buffer;
    pclose(out);
  }
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said.empty() ? module.dli_fname + (" + " + std::string(number)) : said;
}

void die_in_kernel(const std::string& message) {
  const std::string running = running_thread();
  die(running.empty() ? message : message + "\n  " + running);
}

}  // namespace stand_in
