// SPDX-License-Identifier: Apache-2.0
// Model files (engine/model_file.h): reading, and writing as bytes.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "engine/model_file.h"

namespace rmbg {
namespace {

namespace py = pybind11;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Triple = std::array<double, 3>;

std::pair<Triple, Triple> normalization(const ModelFile& model) {
  std::pair<Triple, Triple> both;
  for (std::size_t i = 0; i < 3; ++i) {
    both.first[i] = model.recipe.normalization[i].mean;
    both.second[i] = model.recipe.normalization[i].std;
  }
  return both;
}

py::bytes model_file_bytes(const cpu::Graph& graph, const Floats& centres, bool keeps_mattes, const Triple& mean,
                           const Triple& std) {
  ModelFile model{graph, {}, {centres.data(), centres.data() + centres.size()}, keeps_mattes};
  for (std::size_t i = 0; i < 3; ++i) model.recipe.normalization[i] = {mean[i], std[i]};
  const std::vector<std::uint8_t> bytes = to_bytes(model);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ModelFile read(const std::string& path) {
  GilRelease no_gil;
  return read_model_file(path);
}

}  // namespace

void register_model_file(py::module_& m) {
  py::class_<ModelFile>(m, "ModelFile", "A model file that was read and checked.")
      .def_property_readonly(
          "graph", [](const ModelFile& model) { return model.graph; }, "Its network; the weights stay in the file.")
      .def_property_readonly(
          "centres",
          [](const ModelFile& model) {
            return Floats(static_cast<py::ssize_t>(model.centres.size()), model.centres.data());
          },
          "(n,) float32: for CpuModel in bf16; empty if the file has none.")
      .def_readonly("keeps_mattes", &ModelFile::keeps_mattes, "Whether the export found that bf16 keeps the mattes.")
      .def_property_readonly("normalization", &normalization, "Mean and standard deviation of red, green and blue.");
  m.attr("CENTRES_FORMAT") = kCentresFormat;
  m.def("read_model_file", &read, py::arg("path"));
  m.def("model_file_bytes", &model_file_bytes, py::arg("graph"), py::arg("centres"), py::arg("keeps_mattes"),
        py::arg("mean"), py::arg("std"), "The bytes of a model file.");
}

}  // namespace rmbg
