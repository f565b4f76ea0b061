// SPDX-License-Identifier: Apache-2.0
// What this build and this machine can do, for Engine.info and `rmbg-trt doctor`.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "core/buffer.h"
#include "core/cpu_features.h"
#include "core/device.h"
#include "core/launch.h"
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

py::dict cpu_info() {
  py::dict info;
  info["isa"] = cpu_isa_name(cpu_isa());
  info["bf16"] = cpu_has_bf16();
  info["workers"] = parallel_workers();
  info["resample_kernels"] = resample_kernels().name;
  return info;
}

}  // namespace

void register_device(py::module_& m) {
  m.def("build_info", &build_info, "How this module was built: dict of str.");
  m.def("cuda_devices", &cuda_devices, "The CUDA devices this build can see: list of dict; empty without a driver.");
  m.def("cpu_info", &cpu_info, "Instruction set, native bfloat16, threads.");
  m.def("allocation_count", &Buffer::allocations, "Buffers allocated by the core since it was loaded.");
  m.def("bytes_in_use", &Buffer::bytes_in_use, "Bytes held by the core's buffers now.");
}

}  // namespace rmbg
