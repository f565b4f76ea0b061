// SPDX-License-Identifier: Apache-2.0
// Checks of an array's dtype, shape and strides.
#include "bindings/image_views.h"

#include <stdexcept>

namespace rmbg {
namespace {

namespace py = pybind11;

[[noreturn]] void refuse(const char* what, const std::string& got) {
  throw std::invalid_argument(std::string(what) + " " + got);
}

PixelFormat format_of(std::int64_t channel_count, const std::string& color) {
  const bool bgr = color == "bgr";
  if (!bgr && color != "rgb") throw std::invalid_argument("color is '" + color + "'; expected 'bgr' or 'rgb'");
  if (channel_count == 1) return PixelFormat::kGray8;
  if (channel_count == 3) return bgr ? PixelFormat::kBgr8 : PixelFormat::kRgb8;
  return bgr ? PixelFormat::kBgra8 : PixelFormat::kRgba8;
}

/// Channels of a pixel; throws if the shape is not an image's.
std::int64_t check_shape(const std::vector<std::int64_t>& shape, const char* what) {
  constexpr std::int64_t kLargestSide = 1 << 20;
  const std::int64_t channel_count = shape.size() == 2 ? 1 : shape.size() == 3 ? shape[2] : 0;
  if (channel_count != 1 && channel_count != 3 && channel_count != 4) {
    const bool planes = shape.size() == 3 && (shape[0] == 1 || shape[0] == 3 || shape[0] == 4);
    refuse(what, "has shape " + tuple_text(shape) +
                     "; expected (height, width), (height, width, 3) or (height, width, 4)" +
                     (planes ? " (for channels first: frame.transpose(1, 2, 0), with PyTorch frame.permute(1, 2, 0), "
                               "made contiguous)"
                             : ""));
  }
  if (shape[0] < 1 || shape[1] < 1)
    refuse(what, "is empty, shape " + tuple_text(shape) + "; at least one pixel is needed");
  if (shape[0] > kLargestSide || shape[1] > kLargestSide)
    refuse(what,
           "has shape " + tuple_text(shape) + "; sides of at most " + std::to_string(kLargestSide) + " are supported");
  return channel_count;
}

/// The pitch in bytes; throws if a row is not contiguous. The stride of an axis of length 1 means nothing.
std::ptrdiff_t check_strides(const ArrayLayout& array, std::int64_t channel_count, const char* what) {
  const std::vector<std::int64_t>& shape = array.shape;
  const std::vector<std::int64_t>& strides = array.strides_bytes;
  const bool pixels_contiguous =
      (shape[1] == 1 || strides[1] == channel_count) && (shape.size() == 2 || channel_count == 1 || strides[2] == 1);
  const std::int64_t row_bytes = shape[1] * channel_count;
  const std::int64_t pitch = shape[0] == 1 ? row_bytes : strides[0];
  if (!pixels_contiguous || pitch < row_bytes)
    refuse(what, "has strides " + tuple_text(strides) + " for shape " + tuple_text(shape) +
                     "; only rows may be padded (make it contiguous: numpy.ascontiguousarray, "
                     "cupy.ascontiguousarray, tensor.contiguous(); or use color= instead of reversing channels)");
  return static_cast<std::ptrdiff_t>(pitch);
}

/// How to make bytes of samples of another type.
std::string remedy(const std::string& dtype, const char* what) {
  const std::string name = what;
  if (name == "result" || name == "out") return "make it with numpy.empty(shape, numpy.uint8)";
  if (dtype == "bool") return "for a mask: " + name + ".astype('uint8') * 255";
  if (dtype == "uint16") return "for 16 bit: (" + name + " / 257).round().astype('uint8')";
  if (dtype.find("int") != std::string::npos) return "for values 0..255: " + name + ".astype('uint8')";
  return "for floats in 0..1: (" + name + " * 255).round().astype('uint8'), with PyTorch (" + name +
         " * 255).round().to(torch.uint8)";
}

}  // namespace

ArrayLayout::ArrayLayout(const py::array& array)
    : data(const_cast<void*>(array.data())),
      shape(array.shape(), array.shape() + array.ndim()),
      strides_bytes(array.strides(), array.strides() + array.ndim()),
      dtype(py::isinstance<py::array_t<std::uint8_t>>(array) ? "uint8" : py::str(array.dtype()).cast<std::string>()),
      read_only(!array.writeable()) {}

std::string tuple_text(const std::vector<std::int64_t>& values) {
  std::string text = "(";
  for (std::size_t i = 0; i < values.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(values[i]);
  return text + (values.size() == 1 ? ",)" : ")");
}

ConstImageView to_view(const ArrayLayout& array, const std::string& color, const char* what) {
  if (array.dtype != "uint8")
    refuse(what, "has dtype " + array.dtype + "; expected uint8 (" + remedy(array.dtype, what) + ")");
  const std::int64_t channel_count = check_shape(array.shape, what);
  const std::ptrdiff_t pitch = check_strides(array, channel_count, what);
  return {static_cast<const std::uint8_t*>(array.data), static_cast<int>(array.shape[1]),
          static_cast<int>(array.shape[0]), pitch, format_of(channel_count, color)};
}

ImageView to_mutable_view(const ArrayLayout& array, const std::string& color, const char* what) {
  const ConstImageView view = to_view(array, color, what);
  if (array.read_only) refuse(what, "is read-only; expected a writeable array");
  return {static_cast<std::uint8_t*>(array.data), view.width, view.height, view.pitch_bytes, view.format};
}

std::vector<std::int64_t> memory_shape(const TensorView& tensor) {
  const auto [n, c, h, w] = tensor.shape;
  if (tensor.layout == Layout::kNhwc) return {n, h, w, c};
  return {n, c, h, w};
}

py::array to_array(const TensorView& tensor) {
  const std::vector<std::int64_t> sides = memory_shape(tensor);
  const std::vector<py::ssize_t> shape(sides.begin(), sides.end());
  const py::dtype dtype(tensor.dtype == DataType::kFloat32 ? "float32" : "float16");
  return py::array(dtype, shape, tensor.data, py::capsule(tensor.data, [](void*) {}));
}

}  // namespace rmbg
