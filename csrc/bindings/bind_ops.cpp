// SPDX-License-Identifier: Apache-2.0
// Single ops, for tests, benchmarks and other uses outside the pipeline.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>

#include "bindings/bindings.h"
#include "bindings/image_views.h"
#include "bindings/option_names.h"
#include "core/buffer.h"
#include "postprocess/blur.h"
#include "preprocess/preprocess.h"

namespace rmbg {
namespace {

namespace py = pybind11;

py::array_t<std::uint8_t> new_image(int height, int width, int channel_count) {
  return channel_count == 1 ? py::array_t<std::uint8_t>({height, width})
                            : py::array_t<std::uint8_t>({height, width, channel_count});
}

ResamplePlan plan_of(const ConstImageView& image, std::pair<int, int> size, const std::string& filter) {
  ResamplePlan plan;
  plan.build(filter_of(filter), {image.width, image.height}, {size.second, size.first});
  return plan;
}

py::array_t<std::uint8_t> resample_image(const py::array& image, std::pair<int, int> size, const std::string& filter) {
  const ConstImageView src = to_view(image, "rgb", "image");
  const ResamplePlan plan = plan_of(src, size, filter);
  const auto [height, width] = size;
  const int count = channels(src.format);
  py::array_t<std::uint8_t> result = new_image(height, width, count);
  std::uint8_t* out = result.mutable_data();
  GilRelease no_gil;
  Buffer between(static_cast<std::size_t>(count) * plan.between().width * plan.between().height);
  Buffer resized(static_cast<std::size_t>(count) * width * height);
  const int offsets[] = {0, 1, 2, 3};
  const PlanesView planes{resized.as<std::uint8_t>(), count, width, height};
  resample(src, plan, offsets, between.as<std::uint8_t>(), planes, {});
  for (int plane = 0; plane < count; ++plane)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        out[(static_cast<std::int64_t>(y) * width + x) * count + plane] = planes.row(plane, y)[x];
  return result;
}

py::array preprocess_frame(const py::array& frame, std::pair<int, int> size, const std::string& color,
                           const std::string& filter, const std::string& dtype, const std::string& layout) {
  const ConstImageView view = to_view(frame, color, "frame");
  const ResamplePlan plan = plan_of(view, size, filter);
  const auto [height, width] = size;
  const TensorFormat format{dtype_of(dtype), layout_of(layout)};
  TensorView input{nullptr, {1, 3, height, width}, format.dtype, -1, format.layout};
  py::array tensor(py::dtype(dtype), memory_shape(input));
  void* out = tensor.mutable_data();
  GilRelease no_gil;
  Buffer between(preprocess_between_bytes(plan, channels(view.format)));
  Buffer resized(static_cast<std::size_t>(3) * width * height);
  preprocess(view, kImageNetNormalization, {&plan, between.as<std::uint8_t>(), resized.as<std::uint8_t>()}, format, out,
             {});
  return tensor;
}

py::array_t<std::uint8_t> blur(const py::array& image, float sigma) {
  if (!(sigma > 0 && sigma <= kLargestSigma))
    throw std::invalid_argument("sigma is " + std::to_string(sigma) + " pixels; expected above 0 and up to 10000");
  const ConstImageView src = to_view(image, "rgb", "image");
  py::array_t<std::uint8_t> result = new_image(src.height, src.width, 3);
  std::uint8_t* out = result.mutable_data();
  GilRelease no_gil;
  Buffer scratch(static_cast<std::size_t>(src.width) * src.height * 3);
  gaussian_blur(src, sigma, out, scratch.as<std::uint8_t>(), {});
  return result;
}

py::array host_buffer(const std::vector<py::ssize_t>& shape, bool pinned) {
  std::size_t bytes = 1;
  for (const py::ssize_t side : shape) {
    if (side < 1) throw std::invalid_argument("frame_buffer: every side must be at least 1");
    bytes *= static_cast<std::size_t>(side);
  }
  auto* buffer = new Buffer(bytes, pinned ? MemoryKind::kPinned : MemoryKind::kHost);
  py::capsule owner(buffer, [](void* held) { delete static_cast<Buffer*>(held); });
  return py::array(py::dtype("uint8"), shape, buffer->as<void>(), owner);
}

}  // namespace

void register_ops(py::module_& m) {
  m.def("resample", &resample_image, py::arg("image"), py::arg("size"), py::arg("filter") = "lanczos",
        "Resize of (H, W), (H, W, 3) or (H, W, 4) uint8 to size (height, width), bit-exact with Pillow 13; "
        "each channel alone.");
  m.def("preprocess", &preprocess_frame, py::arg("frame"), py::arg("size"), py::arg("color") = "bgr",
        py::arg("filter") = "lanczos", py::arg("dtype") = "float32", py::arg("layout") = "nchw",
        "Frame to network input (1, 3, height, width), or (1, height, width, 3) for layout 'nhwc'.");
  m.def("gaussian_blur", &blur, py::arg("image"), py::arg("sigma"),
        "Pillow-exact Gaussian blur; (H, W, 3) uint8 whatever the input's channels.");
  m.def("host_buffer", &host_buffer, py::arg("shape"), py::arg("pinned") = false,
        "A uint8 array of 64-byte aligned memory, not initialised; pinned: page-locked, for a GPU.");
}

}  // namespace rmbg
