// SPDX-License-Identifier: Apache-2.0
// Device and pinned memory. An allocation ends where a page that cannot be accessed begins, what lies between is
// checked, device memory is closed to the host, and no address is ever given out twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace stand_in {

constexpr std::size_t kDeviceBytes = std::size_t{8} << 30;

enum class MemoryKind { kDevice, kPinned };

/// The kind of memory at an address. kRegistered: pinned by cudaHostRegister. kLost: freed, or between allocations.
enum class Place { kPageable, kPinned, kRegistered, kDevice, kLost };

/// Others' memory that cudaHostRegister has pinned.
struct Registration {
  const char* data;
  std::size_t bytes;
  int device;  // the current one then
};

struct Allocation {
  MemoryKind kind;
  int device;
  char* data;
  std::size_t bytes;
  char* pages;
  std::size_t page_bytes;
  bool open;       // to the host, and to work
  unsigned flags;  // of cudaHostAlloc
};

class Memory {
 public:
  using Devices = std::uint32_t;  // a bit each
  static constexpr Devices kAllDevices = ~Devices{0};

  /// nullptr if the device has not enough memory left.
  void* allocate(MemoryKind kind, int device, std::size_t bytes, unsigned flags = 0);
  /// False where `data` is not the begin of such an allocation.
  bool release(MemoryKind kind, void* data);

  /// False where some of it is registered, or ours.
  bool register_host(const void* data, std::size_t bytes, int device);
  bool unregister_host(const void* data);
  const Registration* find_registered(const void* address) const;

  /// The allocation an address lies in, or nullptr.
  const Allocation* find(const void* address) const;
  Place place_of(const void* address) const;
  /// Whether a copy may touch [data, data + bytes): in one allocation, or in no memory of ours at all.
  bool holds(const void* data, std::size_t bytes) const;

  std::size_t live_bytes(MemoryKind kind) const;
  std::size_t live_bytes_of(int device) const;

  /// Opens the memory of these devices, and closes that of the others.
  void expose(Devices devices);
  /// Checks what lies beside allocations, and closes all device memory.
  void conceal();

 private:
  static void protect(Allocation& allocation, bool open);
  static void check(const Allocation& allocation);
  char* take_addresses(std::size_t bytes);

  std::map<std::uintptr_t, Allocation> live_;          // by the address behind the last byte
  std::map<std::uintptr_t, Registration> registered_;  // likewise
  char* addresses_ = nullptr;
  std::size_t addresses_taken_ = 0;
};

Memory& memory();

}  // namespace stand_in
