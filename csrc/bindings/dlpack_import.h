// SPDX-License-Identifier: Apache-2.0
// Tensors that come by DLPack: out of a capsule, or from the C functions of their type.
#pragma once

#include <cstdint>

#include "bindings/dlpack.h"
#include "bindings/foreign_array.h"

namespace rmbg {

/// Takes the tensor out of what __dlpack__() gave. Its deleter runs once: when the array's owner goes, or here if the
/// tensor is refused. Throws std::invalid_argument.
ForeignArray take_capsule(const pybind11::object& capsule, const Producer& producer);

/// The C functions that the object's type offers, or null; with them, a look at an object costs no call to Python.
const DLPackExchange* exchange_of(pybind11::handle object);

/// A borrowed look at the object: true when `tensor` is filled in. Otherwise __dlpack__ knows more, or says why not.
bool peek(const DLPackExchange& exchange, pybind11::handle object, DLTensor& tensor);

/// The stream that the maker works on now, on a GPU of its: a handle, 1 for the legacy default.
std::uintptr_t stream_of(const DLPackExchange& exchange, const Producer& producer, DLDevice device);

/// The same as take_capsule() without a call to Python: 1 microsecond where __dlpack__ of PyTorch takes 10. For bytes
/// only: these functions do not look at what __dlpack__ refuses, gradients and conjugated numbers, and bytes have
/// neither. `stream` is the one that the maker works on now; the caller puts its work behind it.
ForeignArray take_by_exchange(const DLPackExchange& exchange, const Producer& producer);

}  // namespace rmbg
