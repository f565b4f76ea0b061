// SPDX-License-Identifier: Apache-2.0
// C++ exceptions become the classes of rmbg_trt.errors.
#include <stdexcept>

#include "bindings/bindings.h"
#include "core/error.h"

namespace rmbg {
namespace {

namespace py = pybind11;

void raise(const char* class_name, const std::exception& error) {
  py::set_error(py::module_::import("rmbg_trt.errors").attr(class_name), error.what());
}

}  // namespace

void register_errors() {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const CudaError& error) {
      raise("CudaError", error);
    } catch (const NetworkError& error) {
      raise("NetworkError", error);
    } catch (const UnavailableError& error) {
      raise("UnavailableError", error);
    } catch (const Error& error) {
      raise("Error", error);
    } catch (const std::invalid_argument& error) {
      raise("InputError", error);
    }
  });
}

}  // namespace rmbg
