// SPDX-License-Identifier: Apache-2.0
// The array, and its export as a DLPack tensor.
#include "bindings/device_array.h"

#include <limits>
#include <stdexcept>
#include <utility>

#include "bindings/image_views.h"

namespace rmbg {
namespace {

namespace py = pybind11;

const ElementType& element_of(const std::string& dtype) {
  static constexpr ElementType kTypes[] = {
      {"uint8", "|u1", {kDLUInt, 8, 1}}, {"float32", "<f4", {kDLFloat, 32, 1}}, {"float16", "<f2", {kDLFloat, 16, 1}}};
  for (const ElementType& type : kTypes)
    if (dtype == type.name) return type;
  throw std::invalid_argument("dtype is '" + dtype + "'; expected 'uint8', 'float32' or 'float16'");
}

std::size_t bytes_of(const std::vector<std::int64_t>& shape, const ElementType& element) {
  std::size_t bytes = element.dlpack.bits / 8;
  for (const std::int64_t side : shape) {
    const auto count = static_cast<std::size_t>(side);
    if (side < 0 || (count > 0 && bytes > std::numeric_limits<std::size_t>::max() / 2 / count))
      throw std::invalid_argument("the array's shape is " + tuple_text(shape) + "; that is larger than any memory");
    bytes *= count;
  }
  return bytes;
}

/// A tensor with everything that it points to; the deleter frees it all.
template <typename Managed>
struct Export {
  Managed managed{};
  std::shared_ptr<DeviceMemory> memory;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;

  explicit Export(const DeviceArray& array) : memory(array.memory()), shape(array.shape()), strides(shape.size()) {
    std::int64_t step = 1;
    for (std::size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
    managed.dl_tensor = {array.data(),
                         {kDLCuda, memory->device()},
                         static_cast<std::int32_t>(shape.size()),
                         array.element().dlpack,
                         shape.data(),
                         strides.data(),
                         0};
    managed.manager_ctx = this;
    managed.deleter = [](Managed* self) { delete static_cast<Export*>(self->manager_ctx); };
  }
};

/// Destroys a capsule, and its tensor if nobody took it.
template <typename Managed>
void drop_capsule(PyObject* capsule) {
  constexpr const char* kName = DLCapsule<Managed>::kName;
  if (PyCapsule_IsValid(capsule, kName) == 0) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kName));
  managed->deleter(managed);
}

template <typename Managed>
py::object to_capsule(std::unique_ptr<Export<Managed>> tensor) {
  PyObject* capsule = PyCapsule_New(&tensor->managed, DLCapsule<Managed>::kName, drop_capsule<Managed>);
  if (capsule == nullptr) throw py::error_already_set();
  tensor.release();  // the capsule's now
  return py::reinterpret_steal<py::object>(capsule);
}

}  // namespace

DeviceArray::DeviceArray(std::shared_ptr<DeviceMemory> memory, std::vector<std::int64_t> shape,
                         const std::string& dtype)
    : memory_(std::move(memory)),
      shape_(std::move(shape)),
      element_(&element_of(dtype)),
      bytes_(bytes_of(shape_, *element_)) {}

py::object to_dlpack_capsule(const DeviceArray& array, bool versioned) {
  if (!versioned) return to_capsule(std::make_unique<Export<DLManagedTensor>>(array));
  auto tensor = std::make_unique<Export<DLManagedTensorVersioned>>(array);
  tensor->managed.version = {1, 0};
  return to_capsule(std::move(tensor));
}

}  // namespace rmbg
