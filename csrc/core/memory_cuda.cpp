// SPDX-License-Identifier: Apache-2.0
// Pinned and device memory. Freeing waits for the GPU, as cudaFree does. Neither call invalidates a capture; memory
// that cannot be freed because of a capture is freed later.
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/buffer.h"
#include "core/cuda_check.h"

namespace rmbg {
namespace {

struct Unfreed {
  MemoryKind kind;
  void* data;
  std::size_t bytes;
};

/// Never destroyed: buffers may be freed at the very end of the process.
struct UnfreedList {
  std::mutex mutex;
  std::vector<Unfreed> blocks;
  std::atomic<std::int64_t> bytes[kMemoryKinds] = {};
  std::atomic<bool> empty{true};
};

UnfreedList& unfreed() {
  static auto* const list = new UnfreedList;
  return *list;
}

/// Whether a capture refused the call, so that nothing was freed. After any other error there is nothing to try again:
/// the driver or context is gone, and the memory with it, or the call did free and reports an error of earlier work.
bool is_refusal(cudaError_t error) {
  return error == cudaErrorStreamCaptureUnsupported || error == cudaErrorStreamCaptureImplicit;
}

/// Returns false if the memory still exists.
bool free_now(MemoryKind kind, void* data) noexcept {
  const CaptureModeScope relaxed;
  const cudaError_t error = kind == MemoryKind::kPinned ? cudaFreeHost(data) : cudaFree(data);
  if (error != cudaSuccess) cudaGetLastError();  // called by destructors: clear the error
  return !is_refusal(error);
}

void keep(const Unfreed& block) noexcept {
  UnfreedList& list = unfreed();
  list.bytes[static_cast<int>(block.kind)] += static_cast<std::int64_t>(block.bytes);
  try {
    const std::lock_guard lock(list.mutex);
    list.blocks.push_back(block);
    list.empty = false;
  } catch (...) {  // no memory even for this: it stays counted as in use
  }
}

void free_what_was_refused() noexcept {
  UnfreedList& list = unfreed();
  if (list.empty) return;
  const std::lock_guard lock(list.mutex);
  while (!list.blocks.empty()) {
    const Unfreed block = list.blocks.back();
    if (!free_now(block.kind, block.data)) return;
    list.bytes[static_cast<int>(block.kind)] -= static_cast<std::int64_t>(block.bytes);
    list.blocks.pop_back();
  }
  list.empty = true;
}

}  // namespace

void* allocate_cuda(MemoryKind kind, std::size_t bytes) {
  free_what_was_refused();
  const CaptureModeScope relaxed;
  void* data = nullptr;
  if (kind == MemoryKind::kPinned) {
    check(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "allocating pinned memory");
  } else {
    check(cudaMalloc(&data, bytes), "allocating GPU memory");
  }
  return data;
}

void deallocate_cuda(MemoryKind kind, void* data, std::size_t bytes) noexcept {
  free_what_was_refused();
  if (!free_now(kind, data)) keep({kind, data, bytes});
}

std::int64_t unfreed_cuda_bytes(MemoryKind kind) noexcept { return unfreed().bytes[static_cast<int>(kind)]; }

}  // namespace rmbg
