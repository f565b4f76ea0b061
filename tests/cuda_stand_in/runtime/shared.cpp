// SPDX-License-Identifier: Apache-2.0
// Which variables belong to which kernel is unknown. So the pieces that a kernel changes are found after its first
// block and after its last, remembered, and poisoned before each of its blocks.
#include "runtime/shared.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <set>

#include "runtime/die.h"
#include "runtime/settings.h"

extern "C" {
extern unsigned char stand_in_shared_begin[] __attribute__((visibility("hidden")));
extern unsigned char stand_in_shared_end[] __attribute__((visibility("hidden")));
}

namespace stand_in {
namespace {

constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kPiece = 64;  // shared_memory.ld aligns both ends to it

unsigned char* reserve_arena() {
  void* const pages =
      mmap(nullptr, kMaxSharedBytes + kGuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) die("no memory for the shared memory of a block");
  auto* const begin = static_cast<unsigned char*>(pages);
  if (mprotect(begin + kMaxSharedBytes, kGuardBytes, PROT_NONE) != 0) die("no guard page behind shared memory");
  return begin;
}

bool is_poisoned(const unsigned char* piece) {
  std::uint64_t words[kPiece / sizeof(std::uint64_t)];
  std::memcpy(words, piece, kPiece);
  std::uint64_t changed = 0;
  for (const std::uint64_t word : words) changed |= word ^ 0x0101010101010101u * kUninitialized;
  return changed == 0;
}

}  // namespace

Bytes static_shared() {
  return {stand_in_shared_begin, static_cast<std::size_t>(stand_in_shared_end - stand_in_shared_begin)};
}

Bytes dynamic_arena() {
  static unsigned char* const begin = reserve_arena();
  return {begin, kMaxSharedBytes};
}

void poison_static_shared(const Kernel& kernel, std::size_t blocks_done, bool last) {
  static auto* const changed_by = new std::map<const Kernel*, std::set<unsigned char*>>;
  static bool begun = false;
  const Bytes all = static_shared();
  if (!begun) std::memset(all.begin, kUninitialized, all.size);
  begun = true;
  std::set<unsigned char*>& pieces = (*changed_by)[&kernel];
  if (blocks_done == 1 || last)
    for (unsigned char* piece = all.begin; piece < all.begin + all.size; piece += kPiece)
      if (!is_poisoned(piece)) pieces.insert(piece);
  for (unsigned char* const piece : pieces) std::memset(piece, kUninitialized, kPiece);
}

}  // namespace stand_in
