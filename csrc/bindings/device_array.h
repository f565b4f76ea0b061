// SPDX-License-Identifier: Apache-2.0
// _core.DeviceArray: our own array on a GPU, which other libraries use without a copy, by DLPack
// (https://data-apis.org/array-api, "Data interchange") or CUDA Array Interface 3 (Numba's manual).
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bindings/dlpack.h"
#include "core/device_memory.h"

namespace rmbg {

/// An element type and its names in each protocol.
struct ElementType {
  const char* name;
  const char* typestr;
  DLDataType dlpack;
};

/// C-contiguous and immutable. The memory may be dropped on any thread, without the GIL.
class DeviceArray {
 public:
  /// dtype: "uint8", "float32" or "float16". Throws std::invalid_argument.
  DeviceArray(std::shared_ptr<DeviceMemory> memory, std::vector<std::int64_t> shape, const std::string& dtype);

  const std::shared_ptr<DeviceMemory>& memory() const { return memory_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  const ElementType& element() const { return *element_; }
  std::size_t bytes() const { return bytes_; }
  /// Null if there are no elements, as both protocols require.
  void* data() const { return bytes_ == 0 ? nullptr : memory_->data(); }

 private:
  std::shared_ptr<DeviceMemory> memory_;
  std::vector<std::int64_t> shape_;
  const ElementType* element_;
  std::size_t bytes_;
};

/// A new capsule, versioned (DLPack 1.0) or unversioned. Its tensor keeps the memory; the deleter uses no Python
/// object.
pybind11::object to_dlpack_capsule(const DeviceArray& array, bool versioned);

}  // namespace rmbg
