// SPDX-License-Identifier: Apache-2.0
// The pipeline: arrays become jobs, and the GIL is released while a frame runs.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/image_views.h"
#include "bindings/option_names.h"
#include "pipeline/pipeline.h"

namespace rmbg {
namespace {

namespace py = pybind11;

/// What a submitted job works on. The slot's thread drops it.
struct JobArrays {
  py::object frame, result, background, track;
};

FrameJob to_job(const py::array& frame, py::array& result, const std::string& color, const PyFrameOptions& options,
                Track* track) {
  FrameJob job;
  job.frame = to_view(frame, color, "frame");
  job.options = options.values;
  job.nv12_color = yuv_color_of(color);
  check_frame(job);
  job.result = to_mutable_view(result, color, "result");
  job.track = track;
  if (options.image) {
    if (!py::isinstance<py::array>(options.image))
      throw std::invalid_argument("the background is on a GPU but the frame is not; expected a NumPy array");
    job.options.background.image = to_view(options.image.cast<py::array>(), color, "background");
  }
  return job;
}

void run(Pipeline& pipeline, const py::array& frame, py::array& result, const std::string& color,
         const PyFrameOptions& options, Track* track) {
  const FrameJob job = to_job(frame, result, color, options, track);
  GilRelease no_gil;
  pipeline.run(job);
}

std::shared_ptr<Completion> submit(Pipeline& pipeline, const py::array& frame, py::array& result,
                                   const std::string& color, const PyFrameOptions& options, const py::object& track) {
  const FrameJob job = to_job(frame, result, color, options, track.is_none() ? nullptr : track.cast<Track*>());
  std::shared_ptr<void> arrays = share_across_threads(JobArrays{frame, result, options.image, track});
  GilRelease no_gil;
  return pipeline.submit(job, std::move(arrays));
}

/// Waits in short steps, so that Ctrl-C reaches Python.
bool wait(const Completion& completion, double seconds) {
  constexpr double kStep = 0.1;
  for (double left = seconds; seconds < 0 || left > 0; left -= kStep) {
    bool done = false;
    {
      GilRelease no_gil;
      done = completion.wait(seconds < 0 ? kStep : std::min(left, kStep));
    }
    if (done) return true;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
  return completion.wait(0);
}

/// Releases the GIL, which the pipeline's threads may need to end.
void close_and_delete(Pipeline* pipeline) {
  GilRelease no_gil;
  delete pipeline;
}

py::list to_dicts(const std::vector<StageTimes>& times) {
  py::list dicts;
  for (const StageTimes& stage : times) {
    py::dict dict;
    dict["copy_in_ms"] = stage.copy_in_ms;
    dict["preprocess_ms"] = stage.preprocess_ms;
    dict["network_ms"] = stage.network_ms;
    dict["postprocess_ms"] = stage.postprocess_ms;
    dict["copy_out_ms"] = stage.copy_out_ms;
    dict["total_ms"] = stage.total_ms;
    dicts.append(dict);
  }
  return dicts;
}

py::list recent_times(const Pipeline& pipeline) { return to_dicts(pipeline.recent_times()); }

py::list measure(Pipeline& pipeline, int repeats) {
  std::vector<StageTimes> times;
  {
    GilRelease no_gil;
    times = pipeline.measure(repeats);
  }
  return to_dicts(times);
}

}  // namespace

void register_pipeline(py::module_& m) {
  py::class_<Completion, std::shared_ptr<Completion>>(m, "Completion", "The outcome of a submitted frame.")
      .def("wait", &wait, py::arg("seconds") = -1.0, "True once the frame is done; negative seconds wait forever.")
      .def("rethrow", &Completion::rethrow, "Raises the frame's error, if it had one.");

  py::class_<Track>(m, "Track", "The state that consecutive frames carry over, in one pipeline.")
      .def(py::init<bool, bool>(), py::arg("stabilize"), py::arg("running_stretch") = false)
      .def("reset", &Track::reset, "The next frame starts afresh.");

  py::class_<Pipeline, std::shared_ptr<Pipeline>>(m, "Pipeline", "Slots that frames run through; see rmbg_trt.Engine.")
      .def(py::init([](std::vector<std::shared_ptr<Network>> networks, const std::string& filter,
                       const std::string& stretch, int device, std::pair<float, float> range) {
             PipelineOptions options;
             options.filter = filter_of(filter);
             options.stretch = stretch_of(stretch);
             options.range = {range.first, range.second};
             options.device = device;
             GilRelease no_gil;
             return std::shared_ptr<Pipeline>(new Pipeline(std::move(networks), options), close_and_delete);
           }),
           py::arg("networks"), py::arg("filter") = "lanczos", py::arg("stretch") = "minmax", py::arg("device") = -1,
           py::arg("range") = std::pair(kProbabilities.min, kProbabilities.max))
      .def("run", &run, py::arg("frame"), py::arg("result"), py::arg("color"), py::arg("options"),
           py::arg("track") = py::none())
      .def("submit", &submit, py::arg("frame"), py::arg("result"), py::arg("color"), py::arg("options"),
           py::arg("track") = py::none())
      .def("recent_times", &recent_times, "A dict of stage times in milliseconds for each frame, oldest first.")
      .def("measure", &measure, py::arg("repeats"), "On a GPU: the same for more frames like the last, from events.")
      .def("modes", &Pipeline::modes, "How each slot runs: 'cpu', 'graph', or 'eager' with the reason.")
      .def_property_readonly("input", [](const Pipeline& pipeline) { return pipeline.spec().input; })
      .def_property_readonly("output", [](const Pipeline& pipeline) { return pipeline.spec().output; })
      .def_property_readonly("device", &Pipeline::device)
      .def_property_readonly("frames", &Pipeline::frames)
      .def_property_readonly("slots", &Pipeline::slots)
      .def("close", &Pipeline::close, py::call_guard<GilRelease>());
}

}  // namespace rmbg
