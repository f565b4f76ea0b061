// SPDX-License-Identifier: Apache-2.0
// Finds and uses the best protocol that an object supports.
#include "bindings/foreign_array.h"

#include <pybind11/numpy.h>

#include "bindings/device_array.h"

namespace rmbg {
namespace {

namespace py = pybind11;
using py::literals::operator""_a;

/// Null if the object has no such attribute; other errors pass through.
py::object find(py::handle object, const char* name) {
  auto value = py::reinterpret_steal<py::object>(PyObject_GetAttrString(object.ptr(), name));
  if (value) return value;
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) throw py::error_already_set();
  PyErr_Clear();
  return value;
}

/// DLPack's number of the kind of device, or 0 if the object does not support DLPack.
int kind_by_dlpack(const Producer& producer) {
  const py::object device = producer.ask([&] {
    const py::object method = find(producer.object, "__dlpack_device__");
    return method && find(producer.object, "__dlpack__") ? method() : py::object();
  });
  if (!device) return 0;
  if (!py::isinstance<py::tuple>(device) || py::len(device) != 2)
    producer.refuse("gives " + py::repr(device).cast<std::string>() +
                    " from __dlpack_device__; expected (kind, index of the device)");
  return producer.ask([&] { return static_cast<int>(py::int_(py::object(device[py::int_(0)]))); });
}

py::object find_interface(const Producer& producer) {
  return producer.ask([&] { return find(producer.object, "__cuda_array_interface__"); });
}

/// One of our own arrays, without a protocol.
ForeignArray take_own(const DeviceArray& own, const Producer& producer, std::uintptr_t stream) {
  const std::int64_t item_bytes = own.element().dlpack.bits / 8;
  ForeignArray array;
  array.data = own.data();
  array.shape = own.shape();
  array.strides_bytes = strides_in_bytes(array.shape, nullptr, item_bytes, item_bytes, producer);
  array.dtype = own.element().name;
  array.device_kind = kDLCuda;
  array.device_index = own.memory()->device();
  array.owner = py::reinterpret_borrow<py::object>(producer.object);
  own.memory()->make_wait(stream);
  own.memory()->used_on(stream);
  return array;
}

ForeignArray take_by_dlpack(const Producer& producer, int kind, std::uintptr_t consumer_stream) {
  // Only GPUs have streams: a host library may refuse one.
  const py::object stream = is_gpu(kind) ? py::object(py::int_(consumer_stream)) : py::none();
  const py::object capsule = producer.ask([&]() -> py::object {
    const py::object method = producer.object.attr("__dlpack__");
    try {
      return method("stream"_a = stream, "max_version"_a = py::make_tuple(1, 0));
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_TypeError)) throw;  // before DLPack 1.0 there was no max_version
    }
    return method("stream"_a = stream);
  });
  return take_capsule(capsule, producer);
}

/// A class has the methods of its arrays but is not an array.
bool is_class(py::handle object) { return PyType_Check(object.ptr()) != 0; }

bool is_bytes(const DLDataType& type) { return type.code == kDLUInt && type.bits == 8 && type.lanes == 1; }

}  // namespace

bool lies_on_gpu(py::handle object) {
  if (py::isinstance<py::array>(object) || is_class(object)) return false;
  if (py::isinstance<DeviceArray>(object)) return true;
  const Producer producer{"array", object};
  DLTensor tensor{};
  const DLPackExchange* exchange = exchange_of(object);
  if (exchange != nullptr && peek(*exchange, object, tensor)) return is_gpu(tensor.device.device_type);
  const int kind = kind_by_dlpack(producer);
  if (kind != 0) return is_gpu(kind);
  const py::object interface = find_interface(producer);
  return interface && !interface.is_none();
}

std::uintptr_t current_stream(py::handle object) {
  if (is_class(object)) return 0;
  if (py::isinstance<DeviceArray>(object)) {
    const std::uintptr_t writer = object.cast<const DeviceArray&>().memory()->stream();
    return writer != 0 ? writer : 1;
  }
  DLTensor tensor{};
  const DLPackExchange* exchange = exchange_of(object);
  if (exchange == nullptr || !peek(*exchange, object, tensor) || !is_gpu(tensor.device.device_type)) return 0;
  return stream_of(*exchange, {"array", object}, tensor.device);
}

ForeignArray import_array(py::handle object, std::uintptr_t consumer_stream, const char* what) {
  const Producer producer{what, object};
  const std::uintptr_t stream = consumer_stream != 0 ? consumer_stream : 1;
  if (py::isinstance<DeviceArray>(object)) return take_own(object.cast<const DeviceArray&>(), producer, stream);
  if (!is_class(object)) {
    DLTensor tensor{};
    const DLPackExchange* exchange = exchange_of(object);
    if (exchange != nullptr && peek(*exchange, object, tensor) && is_bytes(tensor.dtype))
      return take_by_exchange(*exchange, producer);
    if (const int kind = kind_by_dlpack(producer); kind != 0) return take_by_dlpack(producer, kind, stream);
    const py::object interface = find_interface(producer);
    if (interface && !interface.is_none()) return from_cuda_array_interface(interface, producer);
  }
  producer.refuse(
      "is not an array that another library can share; expected __dlpack__ or __cuda_array_interface__ "
      "(PyTorch, CuPy, JAX, Numba, PyCUDA)");
}

}  // namespace rmbg
