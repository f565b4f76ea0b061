// SPDX-License-Identifier: Apache-2.0
// Checks for arrays of other libraries, by any protocol.
#include "bindings/foreign_array.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace rmbg {
namespace {

namespace py = pybind11;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

}  // namespace

void Producer::refuse(const std::string& got) const {
  throw std::invalid_argument(std::string(what) + " (" + Py_TYPE(object.ptr())->tp_name + ") " + got);
}

void Producer::refuse_if_bad_argument(const py::error_already_set& error) const {
  for (PyObject* type : {PyExc_BufferError, PyExc_TypeError, PyExc_ValueError, PyExc_NotImplementedError})
    if (error.matches(type))
      refuse("cannot be shared: " + error.type().attr("__name__").cast<std::string>() + ": " +
             py::str(error.value()).cast<std::string>() +
             "; expected a dense array that its library can share (for PyTorch: frame.detach())");
}

std::vector<std::int64_t> strides_in_bytes(const std::vector<std::int64_t>& shape, const std::int64_t* strides,
                                           std::int64_t step_bytes, std::int64_t item_bytes, const Producer& producer) {
  std::vector<std::int64_t> result(shape.size());
  std::int64_t size = item_bytes;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] < 0 || (shape[axis] > 0 && size > kLargest / shape[axis]))
      producer.refuse("describes impossible memory: shape " + tuple_text(shape));
    if (strides != nullptr && (strides[axis] > kLargest / step_bytes || strides[axis] < -kLargest / step_bytes))
      producer.refuse("describes impossible memory: stride " + std::to_string(strides[axis]));
    result[axis] = strides != nullptr ? strides[axis] * step_bytes : size;
    size *= shape[axis];
  }
  return result;
}

void check_address(const ForeignArray& array, const Producer& producer) {
  const bool empty = std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end();
  if (array.data == nullptr && !empty)
    producer.refuse("gives no address for its elements, shape " + tuple_text(array.shape) +
                    "; expected an array that holds memory");
}

}  // namespace rmbg
