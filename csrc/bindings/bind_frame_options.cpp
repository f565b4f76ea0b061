// SPDX-License-Identifier: Apache-2.0
// The one place where a frame's options are converted from Python.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <string>

#include "bindings/bindings.h"
#include "bindings/option_names.h"

namespace rmbg {
namespace {

namespace py = pybind11;

PyFrameOptions make_options(const std::string& output, bool premultiplied, const std::string& nv12, bool refine,
                            bool decontaminate, const py::object& background, float blur_sigma) {
  PyFrameOptions options;
  FrameOptions& values = options.values;
  values.output = output_of(output);
  values.blur_sigma = blur_sigma;
  values.premultiplied = premultiplied;
  values.nv12 = yuv_matrix_of(nv12);
  values.refine = refine;
  values.decontaminate = decontaminate;
  if (py::isinstance<py::tuple>(background)) {
    const auto color = background.cast<std::array<std::uint8_t, 3>>();
    std::copy(color.begin(), color.end(), values.background.color);
  } else if (!background.is_none()) {
    values.background.kind = BackgroundKind::kImage;
    options.image = background;
  }
  return options;
}

}  // namespace

void register_frame_options(py::module_& m) {
  py::class_<PyFrameOptions>(m, "FrameOptions",
                             "The options of a frame. background: None, three bytes, or an image of the frame's size "
                             "that lies where the frame does; blur_sigma above 0 puts the blurred frame there instead.")
      .def(py::init(&make_options), py::arg("output") = "alpha", py::arg("premultiplied") = false, py::arg("nv12") = "",
           py::arg("refine") = false, py::arg("decontaminate") = false, py::arg("background") = py::none(),
           py::arg("blur_sigma") = 0.0f);
}

}  // namespace rmbg
