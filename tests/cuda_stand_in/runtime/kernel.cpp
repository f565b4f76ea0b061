// SPDX-License-Identifier: Apache-2.0
// The handles of kernels, and what a launch may ask for.
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "runtime/grid.h"
#include "stand_in.h"

namespace stand_in {
namespace {

/// Kernels are found by their functions, and by the handles that stand for them.
struct Kernels {
  std::mutex mutex;
  std::unordered_map<void (*)(), std::unique_ptr<const Kernel>> by_function;
  std::unordered_map<const void*, const Kernel*> by_entry;
  std::unordered_set<void (*)()> run;
};

Kernels& kernels() {
  static auto* const all = new Kernels;
  return *all;
}

}  // namespace

const void* intern_kernel(void (*function)(), const Signature& signature) {
  Kernels& all = kernels();
  const std::lock_guard lock(all.mutex);
  auto& kernel = all.by_function[function];
  if (kernel == nullptr) {
    kernel = std::make_unique<const Kernel>(Kernel{function, signature});
    all.by_entry[kernel.get()] = kernel.get();
  }
  return kernel.get();
}

const Kernel* find_kernel(const void* entry) {
  Kernels& all = kernels();
  const std::lock_guard lock(all.mutex);
  const auto found = all.by_entry.find(entry);
  return found == all.by_entry.end() ? nullptr : found->second;
}

void note_run(const Kernel& kernel) {
  const std::lock_guard lock(kernels().mutex);
  kernels().run.insert(kernel.function);
}

cudaError_t check_shape(dim3 grid, dim3 block, std::size_t shared_bytes) {
  const bool empty = grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0;
  const bool wide = block.x > kMaxBlockThreads || block.y > kMaxBlockThreads || block.z > kMaxBlockZ ||
                    block.x * block.y * block.z > kMaxBlockThreads;
  const bool many = grid.x > kMaxGridX || grid.y > kMaxGridYZ || grid.z > kMaxGridYZ;
  if (empty || wide || many) return cudaErrorInvalidConfiguration;
  return shared_bytes > kMaxSharedBytes ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace stand_in

int rmbg_stand_in_kernels_run(const void** functions, int room) {
  stand_in::Kernels& all = stand_in::kernels();
  const std::lock_guard lock(all.mutex);
  int index = 0;
  for (void (*const function)() : all.run) {
    if (index < room) functions[index] = reinterpret_cast<const void*>(function);
    ++index;
  }
  return index;
}
