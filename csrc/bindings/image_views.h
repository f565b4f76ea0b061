// SPDX-License-Identifier: Apache-2.0
// Arrays as views, without a copy: NumPy's and, through ArrayLayout, any other library's.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/image_view.h"
#include "network/network.h"

namespace rmbg {

/// An array as its library describes it.
struct ArrayLayout {
  ArrayLayout() = default;
  ArrayLayout(const pybind11::array& array);  // NOLINT: implicit on purpose

  void* data = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides_bytes;  // one per axis, also if contiguous
  std::string dtype;                        // NumPy's name: "uint8", "float32", ...
  bool read_only = false;
};

/// A uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), samples of a row contiguous, rows any positive
/// distance apart. `color` is "bgr" or "rgb". Throws std::invalid_argument; `what` names the array in it.
ConstImageView to_view(const ArrayLayout& array, const std::string& color, const char* what);

/// The same for a writeable array.
ImageView to_mutable_view(const ArrayLayout& array, const std::string& color, const char* what);

/// The shape of a tensor's memory: (1, C, H, W), or (1, H, W, C) for channels last.
std::vector<std::int64_t> memory_shape(const TensorView& tensor);

/// A contiguous tensor as a float32 or float16 array of its memory's shape, which does not own the memory.
pybind11::array to_array(const TensorView& tensor);

/// As Python writes a tuple: "()", "(3,)", "(3, 4)".
std::string tuple_text(const std::vector<std::int64_t>& values);

}  // namespace rmbg
