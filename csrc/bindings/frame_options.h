// SPDX-License-Identifier: Apache-2.0
// FrameOptions for Python: _core.FrameOptions.
#pragma once

#include <pybind11/pybind11.h>

#include "postprocess/frame_options.h"

namespace rmbg {

/// The options, and the background's image as the array it still is: its view is made with each job. Needs the GIL to
/// be copied and dropped.
struct PyFrameOptions {
  FrameOptions values;
  pybind11::object image;  // null unless the background is an image
};

}  // namespace rmbg
