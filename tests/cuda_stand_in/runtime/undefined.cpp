// SPDX-License-Identifier: Apache-2.0
// What the compiler calls for undefined behaviour, above all for vectors at addresses that are no multiples of their
// alignment (-fsanitize=undefined). Written here, not taken from its library, so that nothing has to be loaded into
// Python, and so that messages name the kernel and the thread. (Interface: ubsan_handlers.h of LLVM's compiler-rt.)
#include <cstdint>
#include <cstdio>
#include <string>

#include "runtime/report.h"

namespace stand_in {
namespace {

struct Location {
  const char* file;
  std::uint32_t line, column;
};

struct Type {
  std::uint16_t kind, info;
  char name[1];  // goes on
};

struct Access {
  Location location;
  const Type* type;
  unsigned char log_alignment, kind;
};

[[noreturn]] void die_at(const Location& location, const std::string& what) {
  const std::string line = std::to_string(location.line), column = std::to_string(location.column);
  die_in_kernel(what + " at " + location.file + ":" + line + ":" + column);
}

[[noreturn]] void die_of_access(const Access& access, std::uintptr_t address) {
  static const char* const kinds[] = {"a read of",    "a write of",         "a reference to", "a member of",
                                      "a call on",    "construction of",    "a cast of",      "a cast of",
                                      "an upcast of", "a virtual upcast of"};
  const std::string kind = access.kind < sizeof(kinds) / sizeof(*kinds) ? kinds[access.kind] : "an access";
  const std::size_t alignment = std::size_t{1} << access.log_alignment;
  char number[32];
  std::snprintf(number, sizeof(number), "%#jx", static_cast<std::uintmax_t>(address));
  const char* const why = address == 0               ? "at a null pointer"
                          : address % alignment != 0 ? "misaligned"
                                                     : "where there is no room for it";
  die_at(access.location, std::string(why) + ": " + kind + " " + access.type->name + " at address " + number +
                              ", which must be a multiple of " + std::to_string(alignment) + ",");
}

}  // namespace
}  // namespace stand_in

#define RMBG_HANDLER(name, what)                                                            \
  extern "C" [[noreturn]] void __ubsan_handle_##name(const stand_in::Location* data, ...) { \
    stand_in::die_at(*data, what);                                                          \
  }

extern "C" [[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(const stand_in::Access* data,
                                                                   std::uintptr_t address) {
  stand_in::die_of_access(*data, address);
}
extern "C" [[noreturn]] void __ubsan_handle_nonnull_return_v1_abort(const void*, const stand_in::Location* location) {
  stand_in::die_at(*location, "null returned where it must not be");
}
RMBG_HANDLER(add_overflow_abort, "overflow of a sum")
RMBG_HANDLER(sub_overflow_abort, "overflow of a difference")
RMBG_HANDLER(mul_overflow_abort, "overflow of a product")
RMBG_HANDLER(negate_overflow_abort, "overflow of a negation")
RMBG_HANDLER(divrem_overflow_abort, "division by zero, or overflow")
RMBG_HANDLER(shift_out_of_bounds_abort, "a shift by too many bits, or of a negative number")
RMBG_HANDLER(out_of_bounds_abort, "an index out of bounds")
RMBG_HANDLER(vla_bound_not_positive_abort, "an array of no size")
RMBG_HANDLER(float_cast_overflow_abort, "a float that the integer cannot hold")
RMBG_HANDLER(load_invalid_value_abort, "a value that the type does not have")
RMBG_HANDLER(invalid_builtin_abort, "a builtin given zero")
RMBG_HANDLER(nonnull_arg_abort, "null given where it must not be")
RMBG_HANDLER(pointer_overflow_abort, "overflow of a pointer")
RMBG_HANDLER(builtin_unreachable, "code reached that cannot be")
RMBG_HANDLER(missing_return, "the end of a function that returns a value")
