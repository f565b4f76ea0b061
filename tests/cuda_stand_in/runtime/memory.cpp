// SPDX-License-Identifier: Apache-2.0
//   | page that cannot be accessed | canary | data, from a multiple of 256 | canary, < 256 bytes | such a page |
#include "runtime/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/die.h"
#include "runtime/settings.h"

namespace stand_in {
namespace {

constexpr unsigned char kCanary = 0xA7;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kAlignment = 256;  // of cudaMalloc
constexpr std::size_t kGranularity = 16;
#if defined(__SANITIZE_THREAD__)  // which leaves a program about one terabyte of addresses
constexpr std::size_t kAddresses = std::size_t{1} << 37;
#else
constexpr std::size_t kAddresses = std::size_t{1} << 40;
#endif

std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

std::uintptr_t number_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

bool untouched(const char* begin, const char* end) {
  return std::all_of(begin, end, [](char byte) { return static_cast<unsigned char>(byte) == kCanary; });
}

}  // namespace

Memory& memory() {
  static auto* const all = new Memory;
  return *all;
}

char* Memory::take_addresses(std::size_t bytes) {
  if (addresses_ == nullptr) {
    void* const pages = mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) die("no room for the addresses of memory");
    addresses_ = static_cast<char*>(pages);
  }
  if (bytes > kAddresses - addresses_taken_) die("all addresses are used up");
  char* const taken = addresses_ + addresses_taken_;
  addresses_taken_ += bytes;
  return taken;
}

void* Memory::allocate(MemoryKind kind, int device, std::size_t bytes, unsigned flags) {
  if (bytes > kDeviceBytes) return nullptr;
  if (kind == MemoryKind::kDevice && live_bytes_of(device) + bytes > kDeviceBytes) return nullptr;
  const std::size_t page_bytes = round_up(bytes, kPage);
  char* const pages = take_addresses(page_bytes + 2 * kPage) + kPage;
  if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
  char* const last = pages + page_bytes - round_up(bytes, kGranularity);
  char* const data = last - number_of(last) % kAlignment;
  std::memset(pages, kCanary, page_bytes);
  std::memset(data, kUninitialized, bytes);
  Allocation& made = live_[number_of(data) + bytes] = {kind, device, data, bytes, pages, page_bytes, true, flags};
  if (kind == MemoryKind::kDevice && !open_memory()) protect(made, false);
  return data;
}

bool Memory::release(MemoryKind kind, void* data) {
  const auto found = live_.upper_bound(number_of(data));
  if (found == live_.end() || found->second.data != data || found->second.kind != kind) return false;
  protect(found->second, true);
  check(found->second);
  const Allocation& freed = found->second;
  if (mmap(freed.pages, freed.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
      MAP_FAILED)
    die("memory cannot be given back");
  live_.erase(found);
  return true;
}

bool Memory::register_host(const void* data, std::size_t bytes, int device) {
  const auto* const begin = static_cast<const char*>(data);
  const auto next = registered_.upper_bound(number_of(begin));  // the first that ends behind the begin
  const bool free = next == registered_.end() || next->second.data >= begin + bytes;
  if (!free || place_of(begin) != Place::kPageable || place_of(begin + bytes - 1) != Place::kPageable) return false;
  registered_[number_of(begin) + bytes] = {begin, bytes, device};
  return true;
}

bool Memory::unregister_host(const void* data) {
  const auto found = registered_.upper_bound(number_of(data));
  if (found == registered_.end() || found->second.data != data) return false;
  registered_.erase(found);
  return true;
}

const Registration* Memory::find_registered(const void* address) const {
  const auto found = registered_.upper_bound(number_of(address));
  return found != registered_.end() && address >= found->second.data ? &found->second : nullptr;
}

const Allocation* Memory::find(const void* address) const {
  const auto found = live_.upper_bound(number_of(address));
  return found != live_.end() && address >= found->second.data ? &found->second : nullptr;
}

Place Memory::place_of(const void* address) const {
  if (const Allocation* const found = find(address))
    return found->kind == MemoryKind::kDevice ? Place::kDevice : Place::kPinned;
  if (find_registered(address) != nullptr) return Place::kRegistered;
  const bool ours = addresses_ != nullptr && number_of(address) - number_of(addresses_) < kAddresses;
  return ours ? Place::kLost : Place::kPageable;
}

bool Memory::holds(const void* data, std::size_t bytes) const {
  if (bytes == 0) return true;
  if (data == nullptr) return false;
  if (const Allocation* const found = find(data))
    return bytes <= found->bytes - static_cast<std::size_t>(static_cast<const char*>(data) - found->data);
  const auto foreign = [this](const char* byte) {
    return place_of(byte) == Place::kPageable || place_of(byte) == Place::kRegistered;
  };
  return foreign(static_cast<const char*>(data)) && foreign(static_cast<const char*>(data) + bytes - 1);
}

std::size_t Memory::live_bytes(MemoryKind kind) const {
  std::size_t sum = 0;
  for (const auto& [end, allocation] : live_) sum += allocation.kind == kind ? allocation.bytes : 0;
  return sum;
}

std::size_t Memory::live_bytes_of(int device) const {
  std::size_t sum = 0;
  for (const auto& [end, allocation] : live_)
    if (allocation.kind == MemoryKind::kDevice && allocation.device == device) sum += allocation.bytes;
  return sum;
}

void Memory::expose(Devices devices) {
  for (auto& [end, allocation] : live_)
    if (allocation.kind == MemoryKind::kDevice)
      protect(allocation, open_memory() || (devices >> allocation.device & 1u) != 0);
}

void Memory::conceal() {
  for (auto& [end, allocation] : live_) {
    if (allocation.open) check(allocation);
    if (allocation.kind == MemoryKind::kDevice) protect(allocation, open_memory());
  }
}

void Memory::protect(Allocation& allocation, bool open) {
  if (allocation.open == open) return;
  if (mprotect(allocation.pages, allocation.page_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
    die("memory cannot be opened or closed");
  allocation.open = open;
}

void Memory::check(const Allocation& allocation) {
  const char* const end = allocation.data + allocation.bytes;
  const bool before = !untouched(allocation.pages, allocation.data);
  if (!before && untouched(end, allocation.pages + allocation.page_bytes)) return;
  die(std::string("written ") + (before ? "before the begin" : "behind the end") + " of " +
      std::to_string(allocation.bytes) + " bytes of " +
      (allocation.kind == MemoryKind::kDevice ? "the memory of device " + std::to_string(allocation.device)
                                              : "pinned memory"));
}

}  // namespace stand_in
