// SPDX-License-Identifier: Apache-2.0
// Imports an array of another library (PyTorch, CuPy, JAX, Numba, PyCUDA). to_view() and to_mutable_view() of
// image_views.h take the result.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/foreign_array.h"

namespace rmbg {

/// Whether the object says that it lies on a GPU. Throws std::invalid_argument when its library cannot say.
bool lies_on_gpu(pybind11::handle object);

/// The stream that the object's library works on now, as far as that is known without a call to Python: a handle, as in
/// DeviceMemory. 0 when it is not.
std::uintptr_t current_stream(pybind11::handle object);

/// Ours as it is, by DLPack where the object has it, else by the CUDA Array Interface. consumer_stream: the stream that
/// our work goes on, a handle (0 counts as 1, the legacy default stream). On return either it is behind the maker's
/// work already, or `has_stream` is set and the caller must put it behind `stream`. An array that is not on a GPU is
/// described as well. Throws std::invalid_argument; `what` names the object in it.
ForeignArray import_array(pybind11::handle object, std::uintptr_t consumer_stream, const char* what = "frame");

}  // namespace rmbg
