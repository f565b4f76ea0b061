// SPDX-License-Identifier: Apache-2.0
// The parts of the Python module, one function each. Bindings convert arguments and handle the GIL, nothing else.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

#include "bindings/gil.h"

namespace rmbg {

void register_device(pybind11::module_& m);
void register_network(pybind11::module_& m);
void register_cpu_network(pybind11::module_& m);
void register_device_array(pybind11::module_& m);
void register_frame_options(pybind11::module_& m);
void register_device_frames(pybind11::module_& m);
void register_ops(pybind11::module_& m);
void register_model_file(pybind11::module_& m);
void register_pipeline(pybind11::module_& m);

/// A Python object, or a struct of some, that any thread may drop.
template <typename T>
std::shared_ptr<T> share_across_threads(T value) {
  return {new T(std::move(value)), [](T* held) {
            if (Py_IsInitialized() == 0) return;  // the interpreter is gone, and the objects with it
            GilHold gil;
            delete held;
          }};
}

// Only in builds for tests (RMBG_TESTS).
void register_test_arrays(pybind11::module_& m);
void register_test_ops(pybind11::module_& m);  // and with CUDA

}  // namespace rmbg
