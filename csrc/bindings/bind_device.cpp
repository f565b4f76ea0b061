// SPDX-License-Identifier: Apache-2.0
// Facts about this build and machine, for Engine.info and `rmbg-trt doctor`; streams and the current GPU.
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bindings/bindings.h"
#include "bindings/option_names.h"
#include "core/buffer.h"
#include "core/cpu_features.h"
#include "core/device.h"
#include "core/thread_pool.h"
#include "preprocess/resample_kernels.h"

namespace rmbg {
namespace {

namespace py = pybind11;

py::object text_or_none(const std::string& text) { return text.empty() ? py::object(py::none()) : py::str(text); }

py::dict build_info() {
  const DeviceReport report = cuda_report();
  py::dict info;
  info["version"] = RMBG_VERSION;
  info["compiler"] = RMBG_COMPILER;
  info["cuda"] = report.built_with_cuda;
  info["cuda_version"] = text_or_none(report.cuda_version);
  info["cuda_architectures"] = report.architectures;
  info["cuda_problem"] = text_or_none(report.problem);
  return info;
}

py::list cuda_devices() {
  py::list devices;
  for (const DeviceInfo& device : cuda_report().devices) {
    py::dict item;
    item["index"] = device.index;
    item["name"] = device.name;
    item["compute_capability"] = py::make_tuple(device.compute_major, device.compute_minor);
    item["memory_bytes"] = device.memory_bytes;
    devices.append(item);
  }
  return devices;
}

std::int64_t bytes_in_use(const std::string& memory) {
  return Buffer::bytes_in_use(by_name<MemoryKind>(
      "memory", memory,
      {{"host", MemoryKind::kHost}, {"pinned", MemoryKind::kPinned}, {"device", MemoryKind::kDevice}}));
}

py::dict cpu_info() {
  py::dict info;
  info["isa"] = cpu_isa_name(cpu_isa());
  info["bf16"] = cpu_has_bf16();
  info["workers"] = parallel_workers();
  info["resample_kernels"] = resample_kernels().name;
  return info;
}

/// `with` in Python.
struct HeldDevice {
  int device;
  bool pushed;
  std::shared_ptr<void> held;
};

struct OwnedStream {
  Stream stream;
  std::shared_ptr<void> owner;
};

OwnedStream own_stream() {
  OwnedStream owned;
  owned.owner = make_stream(owned.stream);
  return owned;
}

}  // namespace

void register_device(py::module_& m) {
  m.def("build_info", &build_info, "How this module was built: dict of str.");
  m.def("cuda_devices", &cuda_devices, "The CUDA devices this build can see: list of dict; empty without a driver.");
  m.def("cpu_info", &cpu_info, "Instruction set, native bfloat16, threads.");
  m.def("allocation_count", &Buffer::allocations, "Buffers allocated by the core since it was loaded.");
  m.def("bytes_in_use", &bytes_in_use, py::arg("memory") = "host",
        "Bytes held by the core's buffers now, in 'host', 'pinned' or 'device' memory.");
  m.def("set_cuda_device", &select_device, py::arg("device"),
        "Makes a GPU current for the calling thread. Returns the one that was.");
  py::class_<HeldDevice>(m, "CudaDeviceScope",
                         "with CudaDeviceScope(1): a GPU is current for this thread, and afterwards what was before. "
                         "pushed: so is its primary context, even in a thread that has not used CUDA yet.")
      .def(py::init([](int device, bool pushed) { return HeldDevice{device, pushed, nullptr}; }), py::arg("device"),
           py::arg("pushed") = false)
      .def("__enter__", [](HeldDevice& self) { self.held = hold_device(self.device, self.pushed); })
      .def("__exit__", [](HeldDevice& self, const py::args&) { self.held.reset(); });
  py::class_<OwnedStream>(m, "CudaStream",
                          "A stream of the current GPU that does not wait for the legacy default stream.")
      .def(py::init(&own_stream))
      .def_property_readonly(
          "cuda_stream", [](const OwnedStream& self) { return reinterpret_cast<std::uintptr_t>(self.stream.handle); },
          "The cudaStream_t as a number.");
  m.def(
      "copy_on_device",
      [](std::uintptr_t to, std::uintptr_t from, std::size_t bytes, std::uintptr_t stream) {
        copy_on_device(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes,
                       {reinterpret_cast<void*>(stream)});
      },
      py::arg("to"), py::arg("from_"), py::arg("bytes"), py::arg("stream"),
      "Copies between addresses in GPU memory, on a stream.");
}

}  // namespace rmbg
