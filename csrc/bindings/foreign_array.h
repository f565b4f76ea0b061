// SPDX-License-Identifier: Apache-2.0
// Arrays of other libraries: import by DLPack or the CUDA Array Interface, and the checks that both share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/dlpack.h"
#include "bindings/image_views.h"

namespace rmbg {

/// An array of another library. `owner` keeps the memory alive; drop it with the GIL, after the work on the memory.
struct ForeignArray : ArrayLayout {
  int device_kind = 0;        // DLPack's number
  int device_index = -1;      // -1: unknown (CUDA Array Interface); the driver knows it from the address
  std::uintptr_t stream = 0;  // of the producer's work: a handle, 1 legacy default, 2 per-thread default
  bool has_stream = false;    // false: nothing to wait for (the producer waited, or wants no order)
  pybind11::object owner;
};

inline bool is_gpu(int device_kind) { return device_kind == kDLCuda || device_kind == kDLCudaManaged; }

/// The imported object, for messages: "frame (torch.Tensor) ...".
struct Producer {
  const char* what;
  pybind11::handle object;

  /// Throws std::invalid_argument.
  [[noreturn]] void refuse(const std::string& got) const;

  /// Calls the other library. Its refusals to share the object become std::invalid_argument; other failures (CUDA,
  /// memory, Ctrl-C) pass through.
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

/// Strides in bytes from strides in units of step_bytes, or those of a C-contiguous array if `strides` is null. Throws
/// std::invalid_argument for a negative side or an impossible size.
std::vector<std::int64_t> strides_in_bytes(const std::vector<std::int64_t>& shape, const std::int64_t* strides,
                                           std::int64_t step_bytes, std::int64_t item_bytes, const Producer& producer);

/// Throws std::invalid_argument if there are elements but no address.
void check_address(const ForeignArray& array, const Producer& producer);

// The CUDA Array Interface, versions 2 and 3, as Numba's manual specifies it:
// https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html

/// interface: the object's __cuda_array_interface__. The owner is the object itself. Throws std::invalid_argument.
ForeignArray from_cuda_array_interface(const pybind11::object& interface, const Producer& producer);

// DLPack: out of a capsule, or from the C functions of the array's type (dlpack_import.cpp).

/// Takes the tensor out of the capsule of __dlpack__(). Its deleter runs once: with the array's owner, or here if the
/// tensor is refused. Throws std::invalid_argument.
ForeignArray take_capsule(const pybind11::object& capsule, const Producer& producer);

/// The C functions of the object's type, or null. They read an object without a call to Python.
const DLPackExchange* exchange_of(pybind11::handle object);

/// Fills in `tensor` without taking ownership. Returns false on failure; __dlpack__ may still work, or tell why not.
bool peek(const DLPackExchange& exchange, pybind11::handle object, DLTensor& tensor);

/// The producer's current stream on a GPU: a handle, 1 for the legacy default stream.
std::uintptr_t stream_of(const DLPackExchange& exchange, const Producer& producer, DLDevice device);

/// The same as take_capsule() without a call to Python: 1 microsecond, where PyTorch's __dlpack__ takes 10. For bytes
/// only: these functions do not check what __dlpack__ refuses, gradients and conjugated numbers, which bytes do not
/// have. `stream` is the producer's current one; the caller orders its work after it.
ForeignArray take_by_exchange(const DLPackExchange& exchange, const Producer& producer);

// Any array of another library, by the best protocol that it has (array_import.cpp).

/// Whether the object is on a GPU. Throws std::invalid_argument if its library cannot tell.
bool lies_on_gpu(pybind11::handle object);

/// The current stream of the object's library, a handle as in DeviceMemory; 0 if it takes a call to Python to know.
std::uintptr_t current_stream(pybind11::handle object);

/// Imports our own arrays directly, others by DLPack or else the CUDA Array Interface. consumer_stream: the handle of
/// the stream of our work (0 counts as 1, the legacy default stream). On return it waits for the producer's work, or
/// `has_stream` is set and the caller must make it wait for `stream`. Arrays on the host are described as well. Throws
/// std::invalid_argument; `what` names the object in it.
ForeignArray import_array(pybind11::handle object, std::uintptr_t consumer_stream, const char* what = "frame");

}  // namespace rmbg
