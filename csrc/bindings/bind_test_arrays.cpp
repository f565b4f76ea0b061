// SPDX-License-Identifier: Apache-2.0
// For tests without a GPU: an array over host memory that claims to be on cuda:0 and logs every call, what
// import_array() makes of an object, and which options share CUDA graphs. Only in builds with RMBG_TESTS.
#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/device_array.h"
#include "bindings/foreign_array.h"
#include "bindings/option_names.h"

namespace rmbg {
namespace {

namespace py = pybind11;

class HostBackedMemory : public DeviceMemory {
 public:
  HostBackedMemory(std::size_t bytes, py::list log, std::uintptr_t stream)
      : bytes_(bytes), log_(new py::list(std::move(log))), stream_(stream) {
    for (std::size_t i = 0; i < bytes; ++i) bytes_[i] = static_cast<unsigned char>(i % 251);
  }
  ~HostBackedMemory() override {
    if (Py_IsInitialized() == 0) return;
    note("given_back", 0);
    GilHold gil;
    delete log_;
  }

  void* data() const override { return const_cast<unsigned char*>(bytes_.data()); }
  int device() const override { return 0; }
  void make_wait(std::uintptr_t stream) override { note("make_wait", stream); }
  void used_on(std::uintptr_t stream) override { note("used_on", stream); }
  std::uintptr_t stream() const override { return stream_; }
  void to_host(void* to, std::size_t bytes) override {
    if (PyGILState_Check() != 0) throw std::logic_error("to_host() is called with the GIL");
    std::memcpy(to, bytes_.data(), bytes);
    note("to_host", bytes);
  }

 private:
  void note(const char* what, std::uintptr_t number) {
    GilHold gil;
    log_->append(py::make_tuple(what, number));
  }

  std::vector<unsigned char> bytes_;
  py::list* log_;
  std::uintptr_t stream_;
};

std::shared_ptr<DeviceArray> host_backed(const std::vector<std::int64_t>& shape, const std::string& dtype, py::list log,
                                         std::uintptr_t stream) {
  const std::size_t bytes = DeviceArray(nullptr, shape, dtype).bytes();
  return std::make_shared<DeviceArray>(std::make_shared<HostBackedMemory>(bytes, std::move(log), stream), shape, dtype);
}

py::dict import_for_tests(const py::object& object, std::uintptr_t consumer_stream) {
  ForeignArray array = import_array(object, consumer_stream);
  py::dict seen;
  seen["data"] = reinterpret_cast<std::uintptr_t>(array.data);
  seen["shape"] = py::tuple(py::cast(array.shape));
  seen["strides"] = py::tuple(py::cast(array.strides_bytes));
  seen["dtype"] = array.dtype;
  seen["device"] = py::make_tuple(array.device_kind, array.device_index);
  seen["read_only"] = array.read_only;
  seen["stream"] = array.has_stream ? py::object(py::int_(array.stream)) : py::none();
  seen["owner"] = std::move(array.owner);
  return seen;
}

py::tuple view_for_tests(const py::object& object, const std::string& color, bool writeable) {
  const ForeignArray array = import_array(object, 1);
  ConstImageView view = to_view(array, color, "frame");
  if (writeable) {
    const ImageView target = to_mutable_view(array, color, "result");
    view = {target.data, target.width, target.height, target.pitch_bytes, target.format};
  }
  return py::make_tuple(reinterpret_cast<std::uintptr_t>(view.data), view.width, view.height, view.pitch_bytes,
                        channels(view.format), channel_offset(view.format, 0));
}

}  // namespace

void register_test_arrays(py::module_& m) {
  m.def("_same_work", [](const PyFrameOptions& a, const PyFrameOptions& b) { return same_work(a.values, b.values); });
  m.def("_host_backed_device_array", &host_backed, py::arg("shape"), py::arg("dtype"), py::arg("log"),
        py::arg("stream") = 0);
  m.def("_import_device_array", &import_for_tests, py::arg("object"), py::arg("consumer_stream"));
  m.def("_foreign_view", &view_for_tests, py::arg("object"), py::arg("color") = "bgr", py::arg("writeable") = false,
        "(address, width, height, pitch, channels, byte of red)");
}

}  // namespace rmbg
