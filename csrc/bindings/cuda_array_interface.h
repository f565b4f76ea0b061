// SPDX-License-Identifier: Apache-2.0
// Arrays that come by the CUDA Array Interface, versions 2 and 3, as Numba's manual specifies it:
// https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html
#pragma once

#include "bindings/foreign_array.h"

namespace rmbg {

/// interface: the object's __cuda_array_interface__. The owner is the object itself. Throws std::invalid_argument.
ForeignArray from_cuda_array_interface(const pybind11::object& interface, const Producer& producer);

}  // namespace rmbg
