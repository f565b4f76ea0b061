// SPDX-License-Identifier: Apache-2.0
// Reads DLPack's structs: never a tensor before its version is checked, and never before its deleter is armed.
#include "bindings/foreign_array.h"

#include <string>
#include <utility>

namespace rmbg {
namespace {

namespace py = pybind11;

constexpr int kMostAxes = 64;  // NumPy's limit

std::string name_of(const DLDataType& type) {
  const std::string bits = std::to_string(type.bits);
  const std::string lanes = type.lanes == 1 ? "" : "x" + std::to_string(type.lanes);
  switch (type.code) {
    case kDLInt:
      return "int" + bits + lanes;
    case kDLUInt:
      return "uint" + bits + lanes;
    case kDLFloat:
      return "float" + bits + lanes;
    case kDLBfloat:
      return "bfloat" + bits + lanes;
    case kDLComplex:
      return "complex" + bits + lanes;
    case kDLBool:
      return type.bits == 8 ? "bool" + lanes : "bool" + bits + lanes;
    default:
      return "DLPack type " + std::to_string(type.code) + " of " + bits + " bits" + lanes;
  }
}

void describe(const DLTensor& tensor, const Producer& producer, ForeignArray& array) {
  if (tensor.ndim < 0 || tensor.ndim > kMostAxes || (tensor.ndim > 0 && tensor.shape == nullptr))
    producer.refuse("describes a tensor of " + std::to_string(tensor.ndim) + " axes in a way that cannot be read");
  const std::int64_t item_bits = tensor.dtype.bits * tensor.dtype.lanes;
  array.dtype = name_of(tensor.dtype);
  if (item_bits == 0 || item_bits % 8 != 0)
    producer.refuse("has dtype " + array.dtype + "; expected elements of whole bytes");
  array.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  array.strides_bytes = strides_in_bytes(array.shape, tensor.strides, item_bits / 8, item_bits / 8, producer);
  array.data = tensor.data == nullptr ? nullptr : static_cast<char*>(tensor.data) + tensor.byte_offset;
  array.device_kind = tensor.device.device_type;
  array.device_index = tensor.device.device_id;
  check_address(array, producer);
}

void read(const DLManagedTensor& managed, const Producer& producer, ForeignArray& array) {
  describe(managed.dl_tensor, producer, array);  // the old form has no flags
}

void read(const DLManagedTensorVersioned& managed, const Producer& producer, ForeignArray& array) {
  if (managed.version.major != 1)
    producer.refuse("comes by DLPack " + std::to_string(managed.version.major) + "." +
                    std::to_string(managed.version.minor) + "; expected version 1");
  describe(managed.dl_tensor, producer, array);
  array.read_only = (managed.flags & kDLFlagReadOnly) != 0;
}

template <typename Managed>
void release(Managed* managed) {
  if (managed->deleter != nullptr) managed->deleter(managed);
}

/// Drops an owner, possibly while an exception is set, which the producer's code must not see.
template <typename Managed>
void drop_owner(PyObject* owner) {
  const py::error_scope keep;
  release(static_cast<Managed*>(PyCapsule_GetPointer(owner, DLCapsule<Managed>::kUsedName)));
}

template <typename Managed>
ForeignArray take(PyObject* capsule, const Producer& producer) {
  using Names = DLCapsule<Managed>;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Names::kName));
  ForeignArray array;
  array.owner = py::reinterpret_steal<py::object>(PyCapsule_New(managed, Names::kUsedName, nullptr));
  if (!array.owner || PyCapsule_SetName(capsule, Names::kUsedName) != 0) throw py::error_already_set();
  PyCapsule_SetDestructor(array.owner.ptr(), drop_owner<Managed>);  // from now on we own the tensor
  read(*managed, producer, array);
  return array;
}

}  // namespace

ForeignArray take_capsule(const py::object& capsule, const Producer& producer) {
  PyObject* pointer = capsule.ptr();
  if (PyCapsule_IsValid(pointer, DLCapsule<DLManagedTensorVersioned>::kName) != 0)
    return take<DLManagedTensorVersioned>(pointer, producer);
  if (PyCapsule_IsValid(pointer, DLCapsule<DLManagedTensor>::kName) != 0)
    return take<DLManagedTensor>(pointer, producer);
  if (!PyCapsule_CheckExact(pointer))
    producer.refuse(std::string("gives a ") + Py_TYPE(pointer)->tp_name + " from __dlpack__; expected a capsule");
  const char* name = PyCapsule_GetName(pointer);
  producer.refuse("gives a capsule '" + std::string(name != nullptr ? name : "") +
                  "' from __dlpack__; expected 'dltensor' or 'dltensor_versioned', a new one at every call");
}

const DLPackExchange* exchange_of(py::handle object) {
  static PyObject* const kName = PyUnicode_InternFromString("__dlpack_c_exchange_api__");
  const auto capsule =
      py::reinterpret_steal<py::object>(PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())), kName));
  if (!capsule) PyErr_Clear();
  if (!capsule || PyCapsule_IsValid(capsule.ptr(), DLPackExchange::kCapsuleName) == 0) return nullptr;
  auto* header = static_cast<DLPackExchangeHeader*>(PyCapsule_GetPointer(capsule.ptr(), DLPackExchange::kCapsuleName));
  while (header != nullptr && header->version.major != 1) header = header->older;
  return reinterpret_cast<DLPackExchange*>(header);  // lives as long as the process
}

bool peek(const DLPackExchange& exchange, py::handle object, DLTensor& tensor) {
  if (exchange.tensor_from_object == nullptr) return false;
  if (exchange.tensor_from_object(object.ptr(), &tensor) == 0) return true;
  PyErr_Clear();
  return false;
}

std::uintptr_t stream_of(const DLPackExchange& exchange, const Producer& producer, DLDevice device) {
  void* stream = nullptr;
  producer.ask([&] {
    if (exchange.current_stream(device.device_type, device.device_id, &stream) != 0) throw py::error_already_set();
  });
  return stream != nullptr ? reinterpret_cast<std::uintptr_t>(stream) : 1;  // CUDA's 0 is the legacy default
}

ForeignArray take_by_exchange(const DLPackExchange& exchange, const Producer& producer) {
  DLManagedTensorVersioned* managed = nullptr;
  producer.ask([&] {
    if (exchange.managed_from_object(producer.object.ptr(), &managed) != 0) throw py::error_already_set();
  });
  ForeignArray array;
  array.owner = py::reinterpret_steal<py::object>(
      PyCapsule_New(managed, DLCapsule<DLManagedTensorVersioned>::kUsedName, drop_owner<DLManagedTensorVersioned>));
  if (!array.owner) {
    release(managed);
    throw py::error_already_set();
  }
  read(*managed, producer, array);
  if (!is_gpu(array.device_kind)) return array;
  array.stream = stream_of(exchange, producer, managed->dl_tensor.device);
  array.has_stream = true;
  return array;
}

}  // namespace rmbg
