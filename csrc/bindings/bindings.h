// SPDX-License-Identifier: Apache-2.0
// The parts of the Python module, one function each. They convert and hand over the GIL; nothing else.
#pragma once

#include <pybind11/pybind11.h>

namespace rmbg {

void register_errors();
void register_device(pybind11::module_& m);
void register_network(pybind11::module_& m);
void register_cpu_network(pybind11::module_& m);
void register_device_array(pybind11::module_& m);
void register_device_frames(pybind11::module_& m);
void register_ops(pybind11::module_& m);
void register_cuda_ops(pybind11::module_& m);  // in a build with CUDA
void register_pipeline(pybind11::module_& m);

}  // namespace rmbg
