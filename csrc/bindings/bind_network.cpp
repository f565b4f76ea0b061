// SPDX-License-Identifier: Apache-2.0
// Networks written in Python: callables bind(), enqueue() and optionally graph() behind CallbackNetwork.
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/device_array.h"
#include "bindings/image_views.h"
#include "bindings/option_names.h"
#include "core/device.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "network/callback.h"

namespace rmbg {
namespace {

namespace py = pybind11;

/// Switches Python's garbage collector off for the whole process while work is captured into a CUDA graph; nested
/// pauses count. The collector may run whenever an object is created and free another library's GPU memory, which
/// invalidates the capture. Constructed and destroyed with the GIL.
class GcPause {
 public:
  GcPause() {
    const std::lock_guard lock(state().mutex);
    if (state().pauses++ == 0) state().was_on = PyGC_Disable() != 0;
  }
  ~GcPause() {
    const std::lock_guard lock(state().mutex);
    if (--state().pauses == 0 && state().was_on) PyGC_Enable();
  }
  GcPause(const GcPause&) = delete;
  GcPause& operator=(const GcPause&) = delete;

 private:
  struct State {
    std::mutex mutex;  // for builds of Python without the GIL
    int pauses = 0;
    bool was_on = false;
  };
  static State& state() {
    static State only;
    return only;
  }
};

bool raised_by_signal_handler(const py::error_already_set& error) {
  if (!error.trace()) return false;
  return py::module_::import("rmbg_trt.signals").attr("raised_by_handler")(error.trace()).cast<bool>();
}

/// Calls Python with the GIL. An exception becomes a NetworkError with its message, unless it is no failure of the
/// network: it does not derive from Exception (Ctrl-C, SystemExit), or a signal handler raised it.
template <typename F>
void call_python(const char* what, F&& call) {
  GilHold gil;
  try {
    call();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception) || raised_by_signal_handler(error)) throw;
    const std::string text = error.what();
    throw NetworkError(std::string(what) + ": " + text);
  }
}

/// A tensor of the pipeline, which outlives the network's use of it.
class TensorMemory : public SettledMemory {
 public:
  TensorMemory(void* data, int device) : data_(data), device_(device) {}
  void* data() const override { return data_; }
  int device() const override { return device_; }

 private:
  void* data_;
  int device_;
};

/// For Python: a NumPy array on the CPU, a DeviceArray on a GPU.
py::object to_python(const TensorView& tensor) {
  if (tensor.device < 0) return to_array(tensor);
  return py::cast(DeviceArray(std::make_shared<TensorMemory>(tensor.data, tensor.device), memory_shape(tensor),
                              dtype_name(tensor.dtype)));
}

/// `with` in Python.
struct HeldPause {
  std::unique_ptr<GcPause> held;
};

CallbackNetwork::Graph graph_callback(const py::object& graph) {
  if (graph.is_none()) return nullptr;
  return [held = share_across_threads(py::object(graph))] {
    std::uintptr_t handle = 0;
    call_python("the network could not be recorded", [&] { handle = (*held)().cast<std::uintptr_t>(); });
    return reinterpret_cast<void*>(handle);
  };
}

std::shared_ptr<Network> python_network(const TensorSpec& input, const TensorSpec& output, py::object bind,
                                        py::object enqueue, bool capturable, const py::object& graph,
                                        std::string why_eager) {
  auto bind_held = share_across_threads(std::move(bind));
  auto enqueue_held = share_across_threads(std::move(enqueue));
  return std::make_shared<CallbackNetwork>(
      NetworkSpec{input, output},
      [bind_held](const TensorView& in, const TensorView& out) {
        call_python("the network could not be bound", [&] { (*bind_held)(to_python(in), to_python(out)); });
      },
      [enqueue_held](Stream stream) {
        call_python("the network failed", [&] {
          std::optional<GcPause> pause;
          if (stream.handle != nullptr && is_capturing(stream)) pause.emplace();
          (*enqueue_held)(reinterpret_cast<std::uintptr_t>(stream.handle));
        });
      },
      capturable, graph_callback(graph), std::move(why_eager));
}

}  // namespace

void register_network(py::module_& m) {
  py::class_<TensorSpec>(
      m, "TensorSpec",
      "Name, NCHW shape, dtype ('float32' or 'float16') and layout in memory ('nchw' or 'nhwc') of a "
      "network tensor. bind() gets an array (1, H, W, C) for 'nhwc'.")
      .def(py::init([](std::string name, std::array<std::int64_t, 4> shape, const std::string& dtype,
                       const std::string& layout) {
             return TensorSpec{std::move(name), shape, dtype_of(dtype), layout_of(layout)};
           }),
           py::arg("name"), py::arg("shape"), py::arg("dtype") = "float32", py::arg("layout") = "nchw")
      .def_readonly("name", &TensorSpec::name)
      .def_property_readonly("shape", [](const TensorSpec& spec) { return py::tuple(py::cast(spec.shape)); })
      .def_property_readonly("dtype", [](const TensorSpec& spec) { return dtype_name(spec.dtype); })
      .def_property_readonly("layout", [](const TensorSpec& spec) { return layout_name(spec.layout); });
  py::class_<Network, std::shared_ptr<Network>>(m, "Network", "What runs between pre- and postprocessing.")
      .def_property_readonly("input", [](const Network& network) { return network.spec().input; })
      .def_property_readonly("output", [](const Network& network) { return network.spec().output; })
      .def_property_readonly("capturable", &Network::capturable);
  py::class_<HeldPause>(m, "GcPause",
                        "with GcPause(): the garbage collector is off in this process, as a capture wants it.")
      .def(py::init<>())
      .def("__enter__", [](HeldPause& self) { self.held = std::make_unique<GcPause>(); })
      .def("__exit__", [](HeldPause& self, const py::args&) { self.held.reset(); });
  m.def("python_network", &python_network, py::arg("input"), py::arg("output"), py::arg("bind"), py::arg("enqueue"),
        py::arg("capturable") = false, py::arg("graph") = py::none(), py::arg("why_eager") = "",
        "A Network from Python callables: bind(input_array, output_array) once, then enqueue(stream_handle) a frame. "
        "graph() gives a cudaGraph_t of one run as a number, and keeps it; else enqueue is recorded where capturable. "
        "why_eager says, for the pipeline's mode, why a network is not capturable.");
}

}  // namespace rmbg
