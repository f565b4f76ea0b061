// SPDX-License-Identifier: Apache-2.0
// Our own CPU network: a graph that Python fills, and the networks, one per slot, that run it.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/option_names.h"
#include "core/buffer.h"
#include "network/cpu/cpu_network.h"

namespace rmbg {
namespace {

namespace py = pybind11;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

std::vector<float> to_vector(const Floats& array) { return {array.data(), array.data() + array.size()}; }

cpu::Coordinates coordinates_of(const std::string& name) {
  return by_name<cpu::Coordinates>("resize coordinates", name,
                                   {{"half_pixel", cpu::Coordinates::kHalfPixel},
                                    {"pytorch_half_pixel", cpu::Coordinates::kPytorchHalfPixel},
                                    {"align_corners", cpu::Coordinates::kAlignCorners}});
}

cpu::Precision precision_of(const std::string& name) {
  return by_name<cpu::Precision>("precision", name, {{"fp32", cpu::Precision::kFp32}, {"bf16", cpu::Precision::kBf16}});
}

void bind_graph(py::module_& m) {
  using cpu::Graph;
  py::class_<Graph>(m, "CpuGraph",
                    "Layers of a CPU network. Methods take and return numbers of values; 0 is the input.")
      .def(py::init([](int channels, int height, int width) { return Graph({channels, height, width}); }),
           py::arg("channels"), py::arg("height"), py::arg("width"))
      .def(
          "conv",
          [](Graph& graph, int x, const Floats& weights, const Floats& bias, int dilation) {
            if (weights.ndim() != 4 || weights.shape(2) != weights.shape(3))
              throw std::invalid_argument("convolution weights have " + std::to_string(weights.ndim()) +
                                          " axes; expected (cout, cin, kernel, kernel)");
            return graph.conv(x, to_vector(weights), to_vector(bias), static_cast<int>(weights.shape(2)), dilation);
          },
          py::arg("x"), py::arg("weights"), py::arg("bias"), py::arg("dilation") = 1)
      .def("max_pool", &Graph::max_pool, py::arg("x"))
      .def("concat", &Graph::concat, py::arg("values"))
      .def(
          "resize",
          [](Graph& graph, int x, int height, int width, const std::string& coordinates) {
            return graph.resize(x, height, width, coordinates_of(coordinates));
          },
          py::arg("x"), py::arg("height"), py::arg("width"), py::arg("coordinates") = "half_pixel")
      .def("add", &Graph::add, py::arg("a"), py::arg("b"))
      .def("relu", &Graph::relu, py::arg("x"))
      .def("sigmoid", &Graph::sigmoid, py::arg("x"))
      .def("set_output", &Graph::set_output, py::arg("value"))
      .def(
          "shape",
          [](const Graph& graph, int value) {
            const cpu::Shape& shape = graph.shape(value);
            return py::make_tuple(shape.channels, shape.height, shape.width);
          },
          py::arg("value"));
}

/// Binds the network to the caller's arrays, for tests and tools. The engine binds the pipeline's memory instead.
Floats bind(Network& network, const Floats& input) {
  const TensorSpec& out = network.spec().output;
  Floats result(std::vector<py::ssize_t>(out.shape.begin(), out.shape.end()));
  std::array<std::int64_t, 4> shape{};
  for (py::ssize_t i = 0; i < input.ndim() && i < 4; ++i) shape[static_cast<std::size_t>(i)] = input.shape(i);
  network.bind({const_cast<float*>(input.data()), shape, DataType::kFloat32},
               {result.mutable_data(), out.shape, DataType::kFloat32});
  return result;
}

Floats run(Network& network, const Floats& input) {
  Floats result = bind(network, input);
  GilRelease release;
  network.enqueue({});
  return result;
}

Floats channel_means(cpu::CpuNetwork& network, const Floats& input) {
  const Floats result = bind(network, input);  // kept until the run is over
  std::vector<float> means;
  {
    GilRelease release;
    means = network.channel_means();
  }
  return Floats(static_cast<py::ssize_t>(means.size()), means.data());
}

py::list profile(cpu::CpuNetwork& network, const cpu::CpuModel& model, const Floats& input) {
  const Floats result = bind(network, input);  // kept until the run is over
  const std::vector<double> times = network.profile();
  py::list rows;
  for (std::size_t i = 0; i < times.size(); ++i)
    rows.append(py::make_tuple(cpu::describe(model.plan(), model.parts()[i]), times[i]));
  return rows;
}

/// Models that live, by key: Python's references end when a pipeline takes over the networks, C++'s do not.
std::map<std::string, std::weak_ptr<cpu::CpuModel>>& living_models() {
  static std::map<std::string, std::weak_ptr<cpu::CpuModel>> models;
  return models;
}

std::shared_ptr<cpu::CpuModel> find_model(const std::string& key) {
  const auto found = living_models().find(key);
  return found == living_models().end() ? nullptr : found->second.lock();
}

/// Returns the model that lives under the key, which is another one if another thread was faster.
std::shared_ptr<cpu::CpuModel> share_model(const std::string& key, std::shared_ptr<cpu::CpuModel> model) {
  auto& models = living_models();
  for (auto each = models.begin(); each != models.end();) each = each->second.expired() ? models.erase(each) : ++each;
  if (auto living = find_model(key)) return living;
  models[key] = model;
  trim_heap();  // the file and the graph are freed by now; packing took as much memory again
  return model;
}

}  // namespace

void register_cpu_network(py::module_& m) {
  bind_graph(m);
  py::class_<cpu::CpuModel, std::shared_ptr<cpu::CpuModel>>(m, "CpuModel", "A compiled CpuGraph, shared by networks.")
      .def(py::init([](const cpu::Graph& graph, const std::string& precision, const Floats& centres) {
             const std::vector<float> table = to_vector(centres);
             GilRelease release;
             return std::make_shared<cpu::CpuModel>(graph, precision_of(precision), table);
           }),
           py::arg("graph"), py::arg("precision") = "fp32", py::arg("centres") = Floats(0),
           "centres: for bf16, what channel_means() measured; without them small differences are lost.")
      .def(
          "network", [](std::shared_ptr<cpu::CpuModel> model) { return std::make_shared<cpu::CpuNetwork>(model); },
          "A network with activations of its own.");
  py::class_<cpu::CpuNetwork, Network, std::shared_ptr<cpu::CpuNetwork>>(m, "CpuNetwork", "One slot of a CpuModel.")
      .def("run", &run, py::arg("input"), "Input (1, C, H, W) float32 to output; binds to the arrays given.")
      .def("channel_means", &channel_means, py::arg("input"),
           "Runs once in bf16; the mean of every channel that has a centre: a table for CpuModel.")
      .def("profile", &profile, py::arg("model"), py::arg("input"),
           "Runs once; (layer or chain of layers, milliseconds) rows.");
  m.def("find_cpu_model", &find_model, py::arg("key"), "The CpuModel that a living network runs, or None.");
  m.def("share_cpu_model", &share_model, py::arg("key"), py::arg("model"),
        "Makes a CpuModel known by a key while it lives. Returns the one that was known before, if any.");
  m.def("run_network", &run, py::arg("network"), py::arg("input"),
        "Any network on the CPU: input (1, C, H, W) float32 to output; binds it to the arrays given.");
  m.def("cpu_isa", &cpu::isa,
        "Instruction set of the CPU network's kernels: generic, avx2, avx512, avx512_bf16 or amx.");
}

}  // namespace rmbg
