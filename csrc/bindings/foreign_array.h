// SPDX-License-Identifier: Apache-2.0
// Memory of another library as it describes it, and what the readers of the two protocols share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/dlpack.h"
#include "bindings/image_views.h"

namespace rmbg {

/// `owner` keeps the memory alive. It is a Python object: dropped with the GIL, after the work on the memory is done.
struct ForeignArray : ArrayLayout {
  int device_kind = 0;        // DLPack's number
  int device_index = -1;      // -1: not told (CUDA Array Interface); ask the driver about the address
  std::uintptr_t stream = 0;  // the one that the maker's work is on: a handle, 1 legacy default, 2 the thread's default
  bool has_stream = false;    // false: nothing to wait for (the maker did it already, or wants no order)
  pybind11::object owner;
};

inline bool is_gpu(int device_kind) { return device_kind == kDLCuda || device_kind == kDLCudaManaged; }

/// The object that was given to us, for messages: "frame (torch.Tensor) ...".
struct Producer {
  const char* what;
  pybind11::handle object;

  /// Throws std::invalid_argument.
  [[noreturn]] void refuse(const std::string& got) const;

  /// Calls the other library. What it says against sharing this object becomes std::invalid_argument; failures of
  /// another kind (CUDA, memory, Ctrl-C) pass through.
  template <typename F>
  auto ask(F&& call) const {
    try {
      return call();
    } catch (pybind11::error_already_set& error) {
      refuse_if_bad_argument(error);
      throw;
    }
  }

 private:
  void refuse_if_bad_argument(const pybind11::error_already_set& error) const;
};

/// Strides in bytes from strides in steps of step_bytes, or those of a C-contiguous array where `strides` is null.
/// Throws std::invalid_argument for a negative side or a size that no memory has.
std::vector<std::int64_t> strides_in_bytes(const std::vector<std::int64_t>& shape, const std::int64_t* strides,
                                           std::int64_t step_bytes, std::int64_t item_bytes, const Producer& producer);

/// Throws std::invalid_argument when there are elements but no address.
void check_address(const ForeignArray& array, const Producer& producer);

}  // namespace rmbg
