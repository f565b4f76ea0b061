// SPDX-License-Identifier: Apache-2.0
#include "runtime/work.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime/call.h"
#include "runtime/device.h"
#include "runtime/memory.h"
#include "runtime/settings.h"

namespace stand_in {
namespace {

std::size_t extent(std::size_t pitch, std::size_t width, std::size_t height) { return pitch * (height - 1) + width; }

bool is_valid(const Rows& rows) {
  return memory().holds(rows.to, extent(rows.to_pitch, rows.width, rows.height)) &&
         memory().holds(rows.from, extent(rows.from_pitch, rows.width, rows.height));
}

bool fits(cudaMemcpyKind kind, const Rows& rows) {
  const bool to_device = memory().place_of(rows.to) == Place::kDevice;
  const bool from_device = memory().place_of(rows.from) == Place::kDevice;
  // Pinned memory may be named as memory of the device: it is mapped there.
  const auto is_pinned = [](Place place) { return place == Place::kPinned || place == Place::kRegistered; };
  const bool to_pinned = is_pinned(memory().place_of(rows.to));
  const bool from_pinned = is_pinned(memory().place_of(rows.from));
  const bool wants_to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool wants_from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return kind == cudaMemcpyDefault ||
         ((to_pinned || to_device == wants_to_device) && (from_pinned || from_device == wants_from_device));
}

/// What was valid when the work was made may be freed when it runs, in a graph that is launched again.
void report_lost_memory(const char* work) {
  std::fprintf(stderr, "cuda_stand_in: %s touches memory that was freed\n", work);
  lose_device(cudaErrorIllegalAddress);
}

}  // namespace

KernelWork::KernelWork(int device, const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
                       void* const* arguments)
    : device_(device), kernel_(kernel), grid_(grid), block_(block), shared_bytes_(shared_bytes) {
  constexpr std::size_t kUnit = sizeof(std::max_align_t);
  const Signature& signature = kernel.signature;
  std::size_t units = 0;
  for (std::size_t i = 0; i < signature.count; ++i) units += (signature.sizes[i] + kUnit - 1) / kUnit;
  storage_.resize(units);
  std::max_align_t* place = storage_.data();
  for (std::size_t i = 0; i < signature.count; ++i) {
    std::memcpy(place, arguments[i], signature.sizes[i]);
    arguments_.push_back(place);
    place += (signature.sizes[i] + kUnit - 1) / kUnit;
  }
}

void KernelWork::run() const {
  memory().expose(Memory::Devices{1} << device_);
  run_grid(kernel_, grid_, block_, shared_bytes_, arguments_.data());
}

CopyWork::CopyWork(const Rows& rows) : rows_(rows), to_(side_of(rows.to)), from_(side_of(rows.from)) {}

CopyWork::Side CopyWork::side_of(const void* data) {
  if (const Allocation* const found = memory().find(data))
    return {memory().place_of(data), found->device, found->flags};
  const Registration* const found = memory().find_registered(data);
  return {memory().place_of(data), found != nullptr ? found->device : 0, 0};
}

bool CopyWork::goes_like(const CopyWork& other) const {
  const auto same = [](const Side& a, const Side& b) {
    return a.place == b.place && a.device == b.device && a.flags == b.flags;
  };
  return same(to_, other.to_) && same(from_, other.from_);
}

void CopyWork::run() const {
  if (!is_valid(rows_)) return report_lost_memory("a copy");
  memory().expose(Memory::kAllDevices);
  const bool counted = memory().find(rows_.from) != nullptr;  // other memory does not begin like ours
  for (std::size_t y = 0; y < rows_.height; ++y) {
    const char* const from = static_cast<const char*>(rows_.from) + y * rows_.from_pitch;
    if (counted) fresh_bytes_copied() += std::count(from, from + rows_.width, static_cast<char>(kUninitialized));
    std::memmove(static_cast<char*>(rows_.to) + y * rows_.to_pitch, from, rows_.width);
  }
}

long& fresh_bytes_copied() {
  static long count = 0;
  return count;
}

void FillWork::run() const {
  if (!memory().holds(to_, bytes_)) return report_lost_memory("a memset");
  memory().expose(Memory::kAllDevices);
  std::memset(to_, value_, bytes_);
}

cudaError_t make_kernel_work(const void* entry, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments,
                             WorkPointer& work) {
  const Kernel* const kernel = find_kernel(entry);
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  const cudaError_t error = check_shape(grid, block, shared_bytes);
  if (error != cudaSuccess) return error;
  if (arguments == nullptr && kernel->signature.count > 0) return cudaErrorInvalidValue;
  work = std::make_shared<KernelWork>(current_device(), *kernel, grid, block, shared_bytes, arguments);
  return cudaSuccess;
}

cudaError_t make_copy_work(const Rows& rows, cudaMemcpyKind kind, WorkPointer& work) {
  if (rows.to_pitch < rows.width || rows.from_pitch < rows.width) return cudaErrorInvalidPitchValue;
  if (rows.width == 0 || rows.height == 0) return cudaSuccess;
  if (!is_valid(rows) || !fits(kind, rows)) return cudaErrorInvalidValue;
  work = std::make_shared<CopyWork>(rows);
  return cudaSuccess;
}

cudaError_t make_fill_work(void* to, int value, std::size_t bytes, WorkPointer& work) {
  if (bytes == 0) return cudaSuccess;
  const Place place = memory().place_of(to);
  if ((place != Place::kDevice && place != Place::kPinned) || !memory().holds(to, bytes)) return cudaErrorInvalidValue;
  work = std::make_shared<FillWork>(to, value, bytes);
  return cudaSuccess;
}

}  // namespace stand_in
