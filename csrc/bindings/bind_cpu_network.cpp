// SPDX-License-Identifier: Apache-2.0
#include "bindings/bindings.h"

namespace rmbg {

void register_cpu_network(pybind11::module_&) {}

}  // namespace rmbg
