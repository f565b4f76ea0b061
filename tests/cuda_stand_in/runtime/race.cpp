// SPDX-License-Identifier: Apache-2.0
// Each byte of shared memory has a cell that knows its last writer and reader, and in which interval between barriers
// they came. Kernels are compiled with -fsanitize=thread, but linked with the functions below instead of its library.
#include "runtime/race.h"

#include <cstdint>
#include <string>

#include "runtime/report.h"
#include "runtime/shared.h"

namespace stand_in {
namespace {

using Thread = std::uint16_t;
constexpr Thread kSeveral = 0xFFFF, kAtomic = 0xFFFE, kCopy = 0xFFFD;  // beyond the largest block

struct Touch {
  std::uint32_t interval;
  std::int32_t code;  // relative to where()
  Thread thread;
};

struct Cell {
  Touch write, read;
};

/// Cells of the __shared__ variables, then of dynamic shared memory.
const Bytes variables = static_shared(), arena = dynamic_arena();
Cell* const cells = new Cell[variables.size + arena.size]{};

std::uint32_t interval = 1;  // cells begin with 0, which never comes
Thread accessing = 0;

const char* where() { return reinterpret_cast<const char*>(&begin_interval); }

std::int32_t relative(const void* code) { return static_cast<std::int32_t>(static_cast<const char*>(code) - where()); }

std::string name_of(Thread thread) {
  if (thread == kSeveral) return "several threads";
  if (thread == kAtomic) return "an atomic operation";
  if (thread == kCopy) return "an asynchronous copy on its way";
  return "thread number " + std::to_string(thread);
}

[[noreturn]] void die_of_race(const Touch& before, const char* did, const char* does, const void* code) {
  die_in_kernel("a race in shared memory: no barrier is between\n  " + name_of(before.thread) + ", which " + did +
                ": " + place_of_code(where() + before.code - 1) + "\n  " + name_of(accessing) + ", which " + does +
                " the same byte: " + place_of_code(static_cast<const char*>(code) - 1));
}

/// The first cell of an address in shared memory; nullptr for all other memory.
inline Cell* find(const void* address) {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t in_variables = number - reinterpret_cast<std::uintptr_t>(variables.begin);
  if (in_variables < variables.size) return cells + in_variables;
  const std::uintptr_t in_arena = number - reinterpret_cast<std::uintptr_t>(arena.begin);
  return in_arena < arena.size ? cells + variables.size + in_arena : nullptr;
}

inline bool is_now(const Touch& touch) { return touch.interval == interval; }

[[maybe_unused]] void read(const void* address, std::size_t bytes, const void* code) {
  Cell* cell = find(address);
  if (cell == nullptr) return;
  for (Cell* const end = cell + bytes; cell != end; ++cell) {
    if (is_now(cell->write) && cell->write.thread != accessing) die_of_race(cell->write, "wrote", "reads", code);
    const bool another = is_now(cell->read) && cell->read.thread != accessing;
    cell->read = {interval, relative(code), another ? kSeveral : accessing};
  }
}

/// `as`: who counts as the writer. `over`: a writer that is no race.
void write(const void* address, std::size_t bytes, const void* code, Thread as, Thread over) {
  Cell* cell = find(address);
  if (cell == nullptr) return;
  for (Cell* const end = cell + bytes; cell != end; ++cell) {
    if (is_now(cell->write) && cell->write.thread != accessing && cell->write.thread != over)
      die_of_race(cell->write, "wrote", "writes", code);
    if (is_now(cell->read) && cell->read.thread != accessing) die_of_race(cell->read, "read", "writes", code);
    cell->write = {interval, relative(code), as};
  }
}

[[maybe_unused]] void write(const void* address, std::size_t bytes, const void* code) {
  write(address, bytes, code, accessing, accessing);
}

}  // namespace

void begin_interval() { ++interval; }

void set_accessing_thread(std::size_t thread) { accessing = static_cast<Thread>(thread); }

void begin_copy_to(void* to, std::size_t bytes, const void* code) { write(to, bytes, code, kCopy, accessing); }

void end_copy_to(void* to, std::size_t bytes, const void* code) { write(to, bytes, code, accessing, kCopy); }

void touch_atomically(void* address, std::size_t bytes, const void* code) {
  write(address, bytes, code, kAtomic, kAtomic);
}

}  // namespace stand_in

#if defined(RMBG_STAND_IN_CHECKS)  // else these may be ThreadSanitizer's own
// NOLINTBEGIN: names and types are the compiler's.
#define RMBG_ACCESS(name, does, bytes) \
  extern "C" void __tsan_##name(void* address) { stand_in::does(address, bytes, __builtin_return_address(0)); }
RMBG_ACCESS(read1, read, 1)
RMBG_ACCESS(read2, read, 2)
RMBG_ACCESS(read4, read, 4)
RMBG_ACCESS(read8, read, 8)
RMBG_ACCESS(read16, read, 16)
RMBG_ACCESS(unaligned_read2, read, 2)
RMBG_ACCESS(unaligned_read4, read, 4)
RMBG_ACCESS(unaligned_read8, read, 8)
RMBG_ACCESS(unaligned_read16, read, 16)
RMBG_ACCESS(write1, write, 1)
RMBG_ACCESS(write2, write, 2)
RMBG_ACCESS(write4, write, 4)
RMBG_ACCESS(write8, write, 8)
RMBG_ACCESS(write16, write, 16)
RMBG_ACCESS(unaligned_write2, write, 2)
RMBG_ACCESS(unaligned_write4, write, 4)
RMBG_ACCESS(unaligned_write8, write, 8)
RMBG_ACCESS(unaligned_write16, write, 16)
extern "C" void __tsan_read_range(void* address, long bytes) {
  stand_in::read(address, static_cast<std::size_t>(bytes), __builtin_return_address(0));
}
extern "C" void __tsan_write_range(void* address, long bytes) {
  stand_in::write(address, static_cast<std::size_t>(bytes), __builtin_return_address(0));
}
extern "C" void __tsan_vptr_update(void*, void*) {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit(void*) {}
extern "C" void __tsan_init() {}
// NOLINTEND
#endif
