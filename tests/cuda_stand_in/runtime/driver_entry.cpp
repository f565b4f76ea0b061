// SPDX-License-Identifier: Apache-2.0
// Contexts are addresses here: one for each device, and a foreign one that a test can make current.
#include "cuda_driver_entry.h"

#include <cstring>

namespace {

constexpr int kDevices = 64;
char g_primary[kDevices];
char g_foreign;
thread_local void* t_current = nullptr;

int get_current(void** context) {
  *context = t_current;
  return 0;
}

int retain(void** context, int device) {
  *context = &g_primary[device % kDevices];
  return 0;
}

int release(int) { return 0; }

}  // namespace

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned int, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  *found = cudaDriverEntryPointSuccess;
  if (std::strcmp(name, "cuCtxGetCurrent") == 0) {
    *function = reinterpret_cast<void*>(&get_current);
  } else if (std::strcmp(name, "cuDevicePrimaryCtxRetain") == 0) {
    *function = reinterpret_cast<void*>(&retain);
  } else if (std::strcmp(name, "cuDevicePrimaryCtxRelease") == 0) {
    *function = reinterpret_cast<void*>(&release);
  } else {
    *function = nullptr;
    *found = cudaDriverEntryPointSymbolNotFound;
  }
  return cudaSuccess;
}

/// Makes a foreign context current in this thread, or none.
extern "C" __attribute__((visibility("default"))) void rmbg_stand_in_foreign_context(int foreign) {
  t_current = foreign != 0 ? &g_foreign : nullptr;
}
