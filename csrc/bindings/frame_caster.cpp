// SPDX-License-Identifier: Apache-2.0
// The checks of an array's dtype, shape and strides, each with what to do about it.
#include "bindings/frame_caster.h"

#include <stdexcept>
#include <vector>

namespace rmbg {
namespace {

namespace py = pybind11;

[[noreturn]] void refuse(const char* what, const std::string& got) {
  throw std::invalid_argument(std::string(what) + " " + got);
}

std::string shape_text(const py::array& array) { return py::str(array.attr("shape")).cast<std::string>(); }

PixelFormat format_of(py::ssize_t channel_count, const std::string& color) {
  const bool bgr = color == "bgr";
  if (!bgr && color != "rgb") throw std::invalid_argument("color is '" + color + "'; expected 'bgr' or 'rgb'");
  if (channel_count == 1) return PixelFormat::kGray8;
  if (channel_count == 3) return bgr ? PixelFormat::kBgr8 : PixelFormat::kRgb8;
  return bgr ? PixelFormat::kBgra8 : PixelFormat::kRgba8;
}

}  // namespace

ConstImageView to_view(const py::array& array, const std::string& color, const char* what) {
  if (!py::isinstance<py::array_t<std::uint8_t>>(array))
    refuse(what, "has dtype " + py::str(array.dtype()).cast<std::string>() +
                     "; expected uint8 (for floats in 0..1: (frame * 255).round().astype('uint8'))");
  const py::ssize_t channel_count = array.ndim() == 2 ? 1 : array.ndim() == 3 ? array.shape(2) : 0;
  if (channel_count != 1 && channel_count != 3 && channel_count != 4)
    refuse(what, "has shape " + shape_text(array) +
                     "; expected (height, width), (height, width, 3) or "
                     "(height, width, 4)");
  if (array.size() == 0) refuse(what, "is empty, shape " + shape_text(array) + "; at least one pixel is needed");
  constexpr py::ssize_t kLargestSide = 1 << 20;
  if (array.shape(0) > kLargestSide || array.shape(1) > kLargestSide)
    refuse(what,
           "has shape " + shape_text(array) + "; sides of at most " + std::to_string(kLargestSide) + " are supported");
  // The stride of an axis of length 1 means nothing.
  const bool pixels_contiguous = (array.shape(1) == 1 || array.strides(1) == channel_count) &&
                                 (array.ndim() == 2 || channel_count == 1 || array.strides(2) == 1);
  const py::ssize_t pitch = array.shape(0) == 1 ? array.shape(1) * channel_count : array.strides(0);
  if (!pixels_contiguous || pitch < array.shape(1) * channel_count)
    refuse(what,
           "has strides " + py::str(array.attr("strides")).cast<std::string>() + " for shape " + shape_text(array) +
               "; only rows may be padded (use numpy.ascontiguousarray, or color= instead of reversing channels)");
  return {static_cast<const std::uint8_t*>(array.data()), static_cast<int>(array.shape(1)),
          static_cast<int>(array.shape(0)), pitch, format_of(channel_count, color)};
}

ImageView to_mutable_view(py::array& array, const std::string& color, const char* what) {
  const ConstImageView view = to_view(array, color, what);
  if (!array.writeable()) refuse(what, "is read-only; expected a writeable array");
  return {static_cast<std::uint8_t*>(array.mutable_data()), view.width, view.height, view.pitch_bytes, view.format};
}

py::array to_array(const TensorView& tensor) {
  const std::vector<py::ssize_t> shape(tensor.shape.begin(), tensor.shape.end());
  const py::dtype dtype(tensor.dtype == DataType::kFloat32 ? "float32" : "float16");
  return py::array(dtype, shape, tensor.data, py::capsule(tensor.data, [](void*) {}));
}

}  // namespace rmbg
