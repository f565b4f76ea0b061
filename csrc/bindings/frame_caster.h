// SPDX-License-Identifier: Apache-2.0
// NumPy arrays as views, without a copy.
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "core/image_view.h"
#include "network/network.h"

namespace rmbg {

/// A uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), samples of a row contiguous, rows any positive
/// distance apart. `color` is "bgr" or "rgb". Throws std::invalid_argument; `what` names the array in it.
ConstImageView to_view(const pybind11::array& array, const std::string& color, const char* what);

/// The same for a writeable array.
ImageView to_mutable_view(pybind11::array& array, const std::string& color, const char* what);

/// A contiguous tensor as a float32 or float16 array (its shape) that does not own the memory.
pybind11::array to_array(const TensorView& tensor);

}  // namespace rmbg
