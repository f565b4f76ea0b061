// SPDX-License-Identifier: Apache-2.0
// Single GPU ops on host arrays, for tests that compare them with the CPU's. Only in builds with RMBG_TESTS.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "bindings/bindings.h"
#include "bindings/device_array.h"
#include "bindings/image_views.h"
#include "bindings/option_names.h"
#include "core/cuda_stream.h"
#include "postprocess/blur.h"
#include "postprocess/postprocess_cuda.h"
#include "preprocess/preprocess_cuda.h"

namespace rmbg {
namespace {

namespace py = pybind11;

/// Host memory on the GPU, byte for byte, starting `offset` bytes behind an aligned address.
class Uploaded {
 public:
  Uploaded(const void* data, std::size_t bytes, std::size_t offset, cudaStream_t stream)
      : memory_(bytes + offset, MemoryKind::kDevice), data_(memory_.as<std::uint8_t>() + offset) {
    copy_and_wait(data_, data, bytes, stream);
  }
  std::uint8_t* data() const { return data_; }

 private:
  Buffer memory_;
  std::uint8_t* data_;
};

Uploaded upload_image(const ConstImageView& view, std::size_t offset, cudaStream_t stream) {
  return {view.data, extent_bytes(view), offset, stream};
}

ConstImageView moved(ConstImageView view, const Uploaded& memory) {
  view.data = memory.data();
  return view;
}

py::array cuda_preprocess(const py::array& frame, std::pair<int, int> size, const std::string& color,
                          const std::string& filter, const std::string& dtype, std::size_t offset,
                          const std::string& layout) {
  const ConstImageView view = to_view(frame, color, "frame");
  const auto [height, width] = size;
  ResamplePlan host;
  host.build(filter_of(filter), {view.width, view.height}, {width, height});
  const TensorView input{nullptr, {1, 3, height, width}, dtype_of(dtype), 0, layout_of(layout)};
  py::array tensor(py::dtype(dtype), memory_shape(input));
  const CudaStream stream;
  const Uploaded memory = upload_image(view, offset, stream.get());
  Buffer memory_of_tables(MemoryKind::kDevice), staging(MemoryKind::kPinned);
  TableUpload tables({&host}, memory_of_tables, staging);
  const DevicePlan plan = add_for_preprocess(tables, host, channels(view.format));
  tables.start(stream.get());
  const NormalizationTables normalization(kImageNetNormalization, input.dtype, stream.get());
  const Buffer between(preprocess_device_between_bytes(host, channels(view.format)), MemoryKind::kDevice);
  const Buffer resized(static_cast<std::size_t>(3) * width * height, MemoryKind::kDevice);
  const Buffer partials(resample_blocks_bound(host.out()), MemoryKind::kDevice);
  const Buffer out(tensor.nbytes(), MemoryKind::kDevice);
  CudaQueue queue(stream.get());
  preprocess(
      queue, moved(view, memory),
      {&plan, between.as<std::uint8_t>(), resized.as<std::uint8_t>(), partials.as<std::uint8_t>(), &normalization},
      input.layout, out.as<void>());
  stream.synchronize();
  copy_to_host(tensor.mutable_data(), out.as<void>(), static_cast<std::size_t>(tensor.nbytes()));
  return tensor;
}

py::array cuda_postprocess(const py::array& prediction, const py::array& frame, const std::string& output,
                           const std::string& stretch, bool premultiplied, const py::object& background,
                           std::size_t offset) {
  const ConstImageView view = to_view(frame, "bgr", "frame");
  const DataType dtype = dtype_of(py::str(prediction.dtype()).cast<std::string>());
  const CudaStream stream;
  PostprocessOptions options;
  options.stretch = stretch_of(stretch);
  options.output = output_of(output);
  options.premultiplied = premultiplied;
  std::optional<Uploaded> back;
  if (py::isinstance<py::array>(background)) {
    const ConstImageView image = to_view(background.cast<py::array>(), "bgr", "background");
    back.emplace(upload_image(image, offset, stream.get()));
    options.background.kind = BackgroundKind::kImage;
    options.background.image = moved(image, *back);
  } else if (!background.is_none()) {
    const auto color = background.cast<std::array<std::uint8_t, 3>>();
    std::copy(color.begin(), color.end(), options.background.color);
  }
  ResamplePlan host;
  host.build(ResampleFilter::kLanczos, {static_cast<int>(prediction.shape(1)), static_cast<int>(prediction.shape(0))},
             {view.width, view.height});
  const Uploaded memory = upload_image(view, offset, stream.get());
  const Uploaded values(prediction.data(), static_cast<std::size_t>(prediction.nbytes()), 0, stream.get());
  Buffer memory_of_tables(MemoryKind::kDevice), staging(MemoryKind::kPinned);
  TableUpload tables({&host}, memory_of_tables, staging);
  const DevicePlan plan = add_for_postprocess(tables, host);
  tables.start(stream.get());
  const Buffer partials(kPartials * sizeof(MinMax), MemoryKind::kDevice);
  const Buffer matte(static_cast<std::size_t>(prediction.size()), MemoryKind::kDevice);
  const Buffer between(postprocess_device_between_bytes(host), MemoryKind::kDevice);
  const int channel_count = output_channels(options.output);
  std::vector<py::ssize_t> shape{view.height, view.width};
  if (channel_count > 1) shape.push_back(channel_count);
  py::array_t<std::uint8_t> result(shape);
  const Buffer out(static_cast<std::size_t>(result.nbytes()) + offset, MemoryKind::kDevice);
  const ImageView dst{out.as<std::uint8_t>() + offset, view.width, view.height,
                      static_cast<std::ptrdiff_t>(view.width) * channel_count, PixelFormat::kGray8};
  CudaQueue queue(stream.get());
  postprocess(queue, values.data(), dtype, moved(view, memory), options,
              {&plan, partials.as<MinMax>(), matte.as<std::uint8_t>(), between.as<std::uint8_t>()}, dst);
  stream.synchronize();
  copy_to_host(result.mutable_data(), dst.data, static_cast<std::size_t>(result.nbytes()));
  return result;
}

py::array cuda_gaussian_blur(const py::array& image, float sigma) {
  const ConstImageView view = to_view(image, "rgb", "image");
  py::array_t<std::uint8_t> result({view.height, view.width, 3});
  const CudaStream stream;
  const Uploaded memory = upload_image(view, 0, stream.get());
  const auto bytes = static_cast<std::size_t>(result.nbytes());
  const Buffer out(bytes, MemoryKind::kDevice), scratch(bytes, MemoryKind::kDevice);
  CudaQueue queue(stream.get());
  gaussian_blur(queue, moved(view, memory), sigma, out.as<std::uint8_t>(), scratch.as<std::uint8_t>());
  stream.synchronize();
  copy_to_host(result.mutable_data(), out.as<void>(), bytes);
  return result;
}

/// How the pass along rows is cut for one axis: (samples a block makes, bytes between rows of its tile, bytes of shared
/// memory).
py::tuple cuda_row_tiling(int in_size, int out_size, int bytes_per_pixel, int planes, const std::string& filter) {
  ResampleTable table;
  table.build(filter_of(filter), in_size, out_size);
  const RowTiling tiling = row_tiling(table, bytes_per_pixel, planes);
  return py::make_tuple(tiling.outputs, tiling.pitch_bytes, tiling.bytes(planes));
}

/// Pins memory of NumPy's, as other programs do with theirs.
void register_host(const py::array& array) {
  check(cudaHostRegister(const_cast<void*>(array.data()), static_cast<std::size_t>(array.nbytes()),
                         cudaHostRegisterDefault),
        "registering host memory");
}

void unregister_host(const py::array& array) {
  check(cudaHostUnregister(const_cast<void*>(array.data())), "unregistering host memory");
}

/// GPU memory of its own, written and ready. Freeing it waits for all who use it.
class WrittenMemory : public SettledMemory {
 public:
  WrittenMemory(const void* data, std::size_t bytes, int device)
      : scope_(device), device_(device), uploaded_(data, bytes, 0, cudaStreamLegacy) {
    scope_.leave();
  }
  ~WrittenMemory() override {
    try {
      scope_.enter();
    } catch (const CudaError&) {  // the driver is gone
    }
  }
  void* data() const override { return uploaded_.data(); }
  int device() const override { return device_; }

 private:
  DeviceScope scope_;
  int device_;
  Uploaded uploaded_;
};

DeviceArray cuda_upload(const py::array& array, int device) {
  const py::array packed = py::array::ensure(array, py::array::c_style);
  const std::vector<std::int64_t> shape(packed.shape(), packed.shape() + packed.ndim());
  auto memory = std::make_shared<WrittenMemory>(packed.data(), static_cast<std::size_t>(packed.nbytes()), device);
  return {memory, shape, py::str(packed.dtype()).cast<std::string>()};
}

}  // namespace

void register_test_ops(py::module_& m) {
  m.def("cuda_preprocess", &cuda_preprocess, py::arg("frame"), py::arg("size"), py::arg("color") = "bgr",
        py::arg("filter") = "lanczos", py::arg("dtype") = "float32", py::arg("offset") = 0, py::arg("layout") = "nchw");
  m.def("cuda_postprocess", &cuda_postprocess, py::arg("prediction"), py::arg("frame"), py::arg("output") = "alpha",
        py::arg("stretch") = "minmax", py::arg("premultiplied") = false, py::arg("background") = py::none(),
        py::arg("offset") = 0);
  m.def("cuda_gaussian_blur", &cuda_gaussian_blur, py::arg("image"), py::arg("sigma"));
  m.def("cuda_upload", &cuda_upload, py::arg("array"), py::arg("device") = 0);
  m.def("register_host", &register_host, py::arg("array"));
  m.def("unregister_host", &unregister_host, py::arg("array"));
  m.def("cuda_row_tiling", &cuda_row_tiling, py::arg("in_size"), py::arg("out_size"), py::arg("bytes_per_pixel"),
        py::arg("planes"), py::arg("filter") = "lanczos");
}

}  // namespace rmbg
