// SPDX-License-Identifier: Apache-2.0
// The extension module rmbg_trt._core.
#include "bindings/bindings.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of rmbg_trt. Private: use rmbg_trt.Engine.";
  m.attr("__version__") = RMBG_VERSION;
  rmbg::register_errors();
  rmbg::register_device(m);
  rmbg::register_network(m);
  rmbg::register_cpu_network(m);
  rmbg::register_device_array(m);
  rmbg::register_ops(m);
  rmbg::register_frame_options(m);
  rmbg::register_pipeline(m);
  rmbg::register_device_frames(m);
#if defined(RMBG_TESTS)
  rmbg::register_test_arrays(m);
#if defined(RMBG_HAVE_CUDA)
  rmbg::register_test_ops(m);
#endif
#endif
}
