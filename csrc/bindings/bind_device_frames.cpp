// SPDX-License-Identifier: Apache-2.0
// Frames in GPU memory: arrays of other libraries in, DeviceArrays out, ordered on the caller's stream. Nothing here
// waits for the GPU.
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/device_array.h"
#include "bindings/foreign_array.h"
#include "bindings/option_names.h"
#include "core/device.h"
#include "pipeline/pipeline.h"

namespace rmbg {
namespace {

namespace py = pybind11;

Stream stream_of(std::uintptr_t handle) { return {reinterpret_cast<void*>(handle)}; }

/// Whether two handles certainly are one stream: handle 2 differs in each thread.
bool same_stream(std::uintptr_t a, std::uintptr_t b) { return a == b && a != 2; }

/// An array of another library, ready to be used on `stream`.
ForeignArray import_ordered(const py::object& object, const Pipeline& pipeline, std::uintptr_t stream,
                            const char* what) {
  ForeignArray array = import_array(object, stream, what);
  if (!array.has_stream || same_stream(array.stream, stream)) return array;
  // An event recorded there would become part of that capture, and our wait for it would invalidate it.
  check_not_capturing(stream_of(array.stream), (std::string("the stream of ") + what).c_str());
  order_streams(pipeline.device(), stream_of(array.stream), stream_of(stream));
  return array;
}

/// Makes the producer's stream wait for our work, so that its allocator does not reuse the memory before.
void release_ordered(const ForeignArray& array, const Pipeline& pipeline, std::uintptr_t stream) {
  if (array.has_stream && !same_stream(array.stream, stream))
    order_streams(pipeline.device(), stream_of(stream), stream_of(array.stream));
}

/// Memory of the pool, in the shape of a result.
DeviceArray new_result(Pipeline& pipeline, Size frame, Output output, Stream stream,
                       std::shared_ptr<ResultMemory>& memory) {
  std::vector<std::int64_t> shape{frame.height, frame.width};
  if (output_channels(output) > 1) shape.push_back(output_channels(output));
  memory =
      pipeline.results()->take(static_cast<std::size_t>(frame.height) * frame.width * output_channels(output), stream);
  return {memory, std::move(shape), "uint8"};
}

/// Returns `out`, or a new DeviceArray.
py::object run_on_device(Pipeline& pipeline, const py::object& frame, const py::object& out, const std::string& color,
                         const PyFrameOptions& options, std::uintptr_t stream, Track* track) {
  // Check before putting work on it, which would invalidate the capture.
  check_not_capturing(stream_of(stream), "the stream");
  const ForeignArray source = import_ordered(frame, pipeline, stream, "frame");
  FrameJob job;
  job.frame = to_view(source, color, "frame");
  job.options = options.values;
  job.nv12_color = yuv_color_of(color);
  job.track = track;
  job.memory = job.background_memory = MemoryKind::kDevice;
  job.stream = stream_of(stream);
  check_frame(job);  // before creating a result of its size

  const Output output = job.options.output;
  ForeignArray image, target;
  if (options.image) {
    image = import_ordered(options.image, pipeline, stream, "background");
    job.options.background.image = to_view(image, color, "background");
  }
  py::object result = out;
  std::shared_ptr<ResultMemory> memory;
  if (out.is_none()) {
    result = py::cast(new_result(pipeline, frame_size(job), output, job.stream, memory));
    job.result = {static_cast<std::uint8_t*>(memory->data()), frame_size(job).width, frame_size(job).height,
                  static_cast<std::ptrdiff_t>(job.frame.width) * output_channels(output), output_format(output)};
  } else {
    target = import_ordered(out, pipeline, stream, "out");
    job.result = to_mutable_view(target, color, "out");
  }
  {
    GilRelease no_gil;
    pipeline.run(job);
  }
  if (!memory && py::isinstance<DeviceArray>(out))  // an earlier result is overwritten
    memory = std::dynamic_pointer_cast<ResultMemory>(out.cast<const DeviceArray&>().memory());
  if (memory) memory->written_on(job.stream);
  for (const ForeignArray* array : {&source, &std::as_const(image), &std::as_const(target)})
    release_ordered(*array, pipeline, stream);
  return result;
}

}  // namespace

void register_device_frames(py::module_& m) {
  m.def(
      "lies_on_gpu", [](const py::object& object) { return lies_on_gpu(object); }, py::arg("object"),
      "Whether an array is in GPU memory.");
  m.def(
      "current_stream", [](const py::object& object) { return current_stream(object); }, py::arg("object"),
      "The stream that an array's library works on now, its handle; 0 where only Python code knows.");
  m.def("run_on_device", &run_on_device, py::arg("pipeline"), py::arg("frame"), py::arg("out"), py::arg("color"),
        py::arg("options"), py::arg("stream"), py::arg("track") = py::none(),
        "Runs one frame in the memory of the pipeline's GPU on a stream (its handle); returns `out` or a new "
        "DeviceArray.");
}

}  // namespace rmbg
