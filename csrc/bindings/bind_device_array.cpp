// SPDX-License-Identifier: Apache-2.0
// DeviceArray for Python: DLPack and the CUDA Array Interface, each with its rules about streams, and a copy to NumPy.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/device_array.h"
#include "bindings/image_views.h"

namespace rmbg {
namespace {

namespace py = pybind11;
using Pair = std::pair<int, int>;

py::tuple shape_of(const DeviceArray& array) { return py::tuple(py::cast(array.shape())); }

std::uintptr_t pointer_of(const DeviceArray& array) { return reinterpret_cast<std::uintptr_t>(array.data()); }

/// CUDA Array Interface 3. A reader orders its work after the stream named here, so the memory counts as used on it.
/// The per-thread default stream (2) is the reader's own, so we make it wait for the writer's.
py::dict cuda_array_interface(const DeviceArray& array) {
  const std::uintptr_t stream = array.memory()->stream();
  if (stream == 2) array.memory()->make_wait(stream);
  if (stream != 0) array.memory()->used_on(stream);
  py::dict interface;
  interface["version"] = 3;
  interface["shape"] = shape_of(array);
  interface["typestr"] = array.element().typestr;
  interface["data"] = py::make_tuple(pointer_of(array), false);
  interface["strides"] = py::none();
  interface["stream"] = stream != 0 ? py::object(py::int_(stream)) : py::none();
  return interface;
}

[[noreturn]] void refuse_export(const std::string& message) { throw py::buffer_error(message); }

void check_request(const DeviceArray& array, std::optional<Pair> device, std::optional<bool> copy) {
  if (copy.value_or(false)) refuse_export("copy=True is not supported; copy the imported array, or use .numpy()");
  if (!device) return;
  const std::string request =
      "dl_device=(" + std::to_string(device->first) + ", " + std::to_string(device->second) + ")";
  const std::string here = "the array is on cuda:" + std::to_string(array.memory()->device());
  if (device->first != kDLCuda) refuse_export(request + ", but " + here + "; .numpy() copies it to the host");
  if (device->second != array.memory()->device())
    refuse_export(request + ", but " + here + "; take it there and copy it to the other GPU");
}

/// DLPack: makes the consumer's stream wait for our work. None is the legacy default stream; -1 asks for no order.
py::object dlpack(const DeviceArray& array, std::optional<std::int64_t> stream, std::optional<Pair> max_version,
                  std::optional<Pair> dl_device, std::optional<bool> copy) {
  const std::int64_t handle = stream.value_or(1);
  if (handle == 0 || handle < -1)
    throw std::invalid_argument("stream is " + std::to_string(handle) +
                                "; expected a stream's handle, 1 (legacy default stream), 2 (the thread's default "
                                "stream), None (as 1) or -1 (no order); 0 could mean 1 or 2");
  check_request(array, dl_device, copy);
  py::object capsule = to_dlpack_capsule(array, max_version && max_version->first >= 1);
  if (handle != -1) {
    array.memory()->make_wait(static_cast<std::uintptr_t>(handle));
    array.memory()->used_on(static_cast<std::uintptr_t>(handle));
  }
  return capsule;
}

py::array to_numpy(const DeviceArray& array) {
  py::array result(py::dtype(array.element().name), array.shape());
  void* out = result.mutable_data();
  GilRelease no_gil;
  if (array.bytes() > 0) array.memory()->to_host(out, array.bytes());
  return result;
}

/// Without this NumPy would wrap the object in an array of dtype object.
void no_implicit_copy(const DeviceArray&, const py::args&, const py::kwargs&) {
  throw py::type_error("a DeviceArray is on a GPU and is not copied to the host implicitly; use .numpy()");
}

std::size_t length(const DeviceArray& array) {
  if (array.shape().empty()) throw py::type_error("len() of an array without axes");
  return static_cast<std::size_t>(array.shape()[0]);
}

std::string repr(const DeviceArray& array) {
  return "DeviceArray(shape=" + tuple_text(array.shape()) + ", dtype=" + array.element().name +
         ", device=cuda:" + std::to_string(array.memory()->device()) + ")";
}

}  // namespace

void register_device_array(py::module_& m) {
  py::class_<DeviceArray, std::shared_ptr<DeviceArray>>(
      m, "DeviceArray",
      "An array on a GPU, C-contiguous: torch.from_dlpack(a), cupy.asarray(a), a.numpy().\n\n"
      "A stream on which it is used (`stream` of __dlpack__ or of __cuda_array_interface__) must live until the array\n"
      "and all that was made of it are dropped: the memory is then used again behind that stream's work, which CUDA\n"
      "leaves undefined for a stream that was destroyed. PyTorch's streams and default streams are never destroyed.\n"
      "Work on another stream than the one named is the user's to wait for before the array is dropped.")
      .def_property_readonly("shape", &shape_of)
      .def_property_readonly("dtype", [](const DeviceArray& array) { return array.element().name; })
      .def_property_readonly("ptr", &pointer_of)
      .def_property_readonly("device", [](const DeviceArray& array) { return array.memory()->device(); })
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("__cuda_array_interface__", &cuda_array_interface)
      .def("__dlpack__", &dlpack, py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
           py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
      .def("__dlpack_device__", [](const DeviceArray& array) { return Pair(kDLCuda, array.memory()->device()); })
      .def("numpy", &to_numpy, "A copy on the host; waits for the GPU.")
      .def("__array__", &no_implicit_copy)
      .def("__len__", &length)
      .def("__repr__", &repr);
}

}  // namespace rmbg
