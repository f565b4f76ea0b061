// SPDX-License-Identifier: Apache-2.0
// Reads the dictionary.
#include "bindings/foreign_array.h"

#include <cctype>
#include <string>

namespace rmbg {
namespace {

namespace py = pybind11;

/// The dictionary, and the producer for messages.
struct Interface {
  py::dict entries;
  const Producer& producer;

  /// None if the key is missing.
  py::object find(const char* key) const {
    return entries.contains(key) ? py::object(entries[key]) : py::object(py::none());
  }

  py::object need(const char* key) const {
    py::object value = find(key);
    if (value.is_none()) refuse(key, "is missing or None");
    return value;
  }

  [[noreturn]] void refuse(const char* key, const std::string& got) const {
    producer.refuse(std::string("has a damaged __cuda_array_interface__: '") + key + "' " + got);
  }

  /// An int, or what acts as one.
  std::int64_t integer(const char* key, py::handle value) const {
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    const std::int64_t number = index ? PyLong_AsLongLong(index.ptr()) : -1;
    if (PyErr_Occurred() == nullptr) return number;
    PyErr_Clear();
    refuse(key, "holds " + py::repr(value).cast<std::string>() + "; expected integers of 64 bits");
  }

  std::vector<std::int64_t> integers(const char* key, const py::object& value) const {
    if (!py::isinstance<py::tuple>(value) && !py::isinstance<py::list>(value))
      refuse(key, std::string("is ") + Py_TYPE(value.ptr())->tp_name + "; expected a tuple of int");
    std::vector<std::int64_t> numbers;
    for (const py::handle item : value) numbers.push_back(integer(key, item));
    return numbers;
  }
};

/// Reads a typestr such as "<f4": bytes of an element, and NumPy's name for it where it is in the machine's order.
std::int64_t read_typestr(const Interface& interface, std::string& name) {
  const py::object value = interface.need("typestr");
  const std::string text = py::isinstance<py::str>(value) ? value.cast<std::string>() : "";
  const bool known = text.size() >= 3 && text.size() <= 9 && std::string("<>|=").find(text[0]) != std::string::npos &&
                     std::isalpha(static_cast<unsigned char>(text[1])) != 0 &&
                     text.find_first_not_of("0123456789", 2) == std::string::npos;
  const std::int64_t bytes = known ? std::stoll(text.substr(2)) : 0;
  if (bytes < 1)
    interface.refuse("typestr", "is " + py::repr(value).cast<std::string>() + "; expected one such as '|u1' or '<f4'");
  const char* kind = text[1] == 'u'   ? "uint"
                     : text[1] == 'i' ? "int"
                     : text[1] == 'f' ? "float"
                     : text[1] == 'c' ? "complex"
                                      : nullptr;
  if (text[1] == 'b' && bytes == 1)
    name = "bool";
  else if (kind == nullptr || (text[0] == '>' && bytes > 1))
    name = text;
  else
    name = kind + std::to_string(8 * bytes);
  return bytes;
}

void read_shape(const Interface& interface, ForeignArray& array) {
  const std::int64_t item_bytes = read_typestr(interface, array.dtype);
  array.shape = interface.integers("shape", interface.need("shape"));
  const py::object strides = interface.find("strides");
  if (strides.is_none()) {
    array.strides_bytes = strides_in_bytes(array.shape, nullptr, 1, item_bytes, interface.producer);
    return;
  }
  const std::vector<std::int64_t> bytes = interface.integers("strides", strides);
  if (bytes.size() != array.shape.size())
    interface.refuse("strides", "is " + tuple_text(bytes) + " for shape " + tuple_text(array.shape));
  array.strides_bytes = strides_in_bytes(array.shape, bytes.data(), 1, item_bytes, interface.producer);
}

void read_data(const Interface& interface, ForeignArray& array) {
  const py::object data = interface.need("data");
  if (!py::isinstance<py::tuple>(data) || py::len(data) != 2)
    interface.refuse("data", "is " + py::repr(data).cast<std::string>() + "; expected (address, read-only)");
  const auto pair = py::reinterpret_borrow<py::tuple>(data);
  array.data = reinterpret_cast<void*>(static_cast<std::intptr_t>(interface.integer("data", pair[0])));
  const int read_only = PyObject_IsTrue(py::object(pair[1]).ptr());
  if (read_only < 0) throw py::error_already_set();
  array.read_only = read_only != 0;
}

void read_stream(const Interface& interface, ForeignArray& array) {
  const py::object stream = interface.find("stream");
  if (stream.is_none()) return;
  const std::int64_t handle = interface.integer("stream", stream);
  if (handle < 0)
    interface.refuse("stream", "is " + std::to_string(handle) +
                                   "; expected None, 1 (legacy default stream), 2 (the thread's default stream) or a "
                                   "stream's handle");
  // The protocol forbids 0, which could be either default stream. Numba uses it for cuda.default_stream(), the legacy
  // one.
  array.stream = handle == 0 ? 1 : static_cast<std::uintptr_t>(handle);
  array.has_stream = true;
}

}  // namespace

ForeignArray from_cuda_array_interface(const py::object& object, const Producer& producer) {
  if (!py::isinstance<py::dict>(object))
    producer.refuse(std::string("has a damaged __cuda_array_interface__: a ") + Py_TYPE(object.ptr())->tp_name +
                    "; expected a dict");
  const Interface interface{py::reinterpret_borrow<py::dict>(object), producer};
  const std::int64_t version = interface.integer("version", interface.need("version"));
  if (version != 2 && version != 3) interface.refuse("version", "is " + std::to_string(version) + "; expected 2 or 3");
  if (!interface.find("mask").is_none())
    producer.refuse("has a mask; expected an array without one (masks are not supported)");
  ForeignArray array;
  array.device_kind = kDLCuda;
  read_shape(interface, array);
  read_data(interface, array);
  read_stream(interface, array);
  check_address(array, producer);
  array.owner = py::reinterpret_borrow<py::object>(producer.object);
  return array;
}

}  // namespace rmbg
