// SPDX-License-Identifier: Apache-2.0
// The extension module rmbg_trt._core, and how C++ exceptions become Python's.
#include <stdexcept>
#include <string>
#include <system_error>

#include "bindings/bindings.h"
#include "core/error.h"

namespace rmbg {
namespace {

namespace py = pybind11;

void raise(const char* class_name, const std::exception& error) {
  py::set_error(py::module_::import("rmbg_trt.errors").attr(class_name), error.what());
}

/// C++ exceptions become the classes of rmbg_trt.errors.
void register_errors() {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const CudaError& error) {
      raise("CudaError", error);
    } catch (const ModelError& error) {
      raise("ModelError", error);
    } catch (const NetworkError& error) {
      raise("NetworkError", error);
    } catch (const UnavailableError& error) {
      raise("UnavailableError", error);
    } catch (const Error& error) {
      raise("Error", error);
    } catch (const std::invalid_argument& error) {
      raise("InputError", error);
    } catch (const std::system_error& error) {
      const std::string what = std::string("the system gives no further thread (") + error.what() + ")";
      raise("Error", Error(what + "; close other programs, or raise the limits of memory and processes"));
    }
  });
}

}  // namespace
}  // namespace rmbg

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of rmbg_trt. Private: use rmbg_trt.Engine.";
  m.attr("__version__") = RMBG_VERSION;
  rmbg::register_errors();
  rmbg::register_device(m);
  rmbg::register_network(m);
  rmbg::register_cpu_network(m);
  rmbg::register_model_file(m);
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
