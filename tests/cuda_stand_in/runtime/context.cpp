// SPDX-License-Identifier: Apache-2.0
// Contexts are addresses here: a primary one for each device, and a foreign one that a test can make current. A thread
// has none at first; what needs one makes the primary context of the thread's device.
#include <atomic>
#include <cstring>
#include <vector>

#include "cuda_runtime_api.h"
#include "runtime/device.h"
#include "stand_in.h"

namespace stand_in {
namespace {

constexpr int kDevices = 64;
char primaries[kDevices];
char foreign;
std::atomic<unsigned long long> with_primary{0};  // a bit for each device whose primary context there is

thread_local void* t_context = nullptr;
thread_local std::vector<void*> t_below;  // contexts pushed on
thread_local int t_selected = 0;

bool is_primary(const void* address) { return address >= primaries && address < primaries + kDevices; }

void* make_primary(int device) {
  with_primary |= 1ull << device;
  return &primaries[device];
}

int get_current(void** current) {
  *current = t_context;
  return 0;
}

int push(void* pushed) {
  t_below.push_back(t_context);
  t_context = pushed;
  return 0;
}

int pop(void** popped) {
  constexpr int kInvalidContext = 201;
  if (t_below.empty()) return kInvalidContext;
  *popped = t_context;
  t_context = t_below.back();
  t_below.pop_back();
  return 0;
}

int retain(void** primary, int device) {
  constexpr int kInvalidDevice = 101;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || device < 0 || device >= count) return kInvalidDevice;
  *primary = make_primary(device);
  return 0;
}

}  // namespace

int current_device() {
  return is_primary(t_context) ? static_cast<int>(static_cast<char*>(t_context) - primaries) : t_selected;
}

int use_device() {
  if (t_context == nullptr) t_context = make_primary(t_selected);
  return current_device();
}

void select_device(int device) {
  t_selected = device;
  t_context = make_primary(device);
}

}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned int, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  struct Known {
    const char* name;
    void* function;
  };
  static const Known known[] = {{"cuCtxGetCurrent", reinterpret_cast<void*>(&get_current)},
                                {"cuCtxPushCurrent", reinterpret_cast<void*>(&push)},
                                {"cuCtxPopCurrent", reinterpret_cast<void*>(&pop)},
                                {"cuDevicePrimaryCtxRetain", reinterpret_cast<void*>(&retain)}};
  *function = nullptr;
  for (const Known& each : known)
    if (std::strcmp(name, each.name) == 0) *function = each.function;
  *found = *function != nullptr ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

void rmbg_stand_in_foreign_context(int wanted) { t_context = wanted != 0 ? &foreign : nullptr; }

int rmbg_stand_in_context_is_current() { return t_context != nullptr ? 1 : 0; }

unsigned long long rmbg_stand_in_contexts() { return with_primary; }
