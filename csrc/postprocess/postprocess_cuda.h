// SPDX-License-Identifier: Apache-2.0
// postprocess.h on the GPU: network output to result, to the bit as on the CPU.
#pragma once

#include <cstdint>

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "core/data_type.h"
#include "core/reduce.h"
#include "postprocess/postprocess.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// The GPU memory of postprocess(), sized for one frame; owned by the caller.
struct PostprocessDeviceWorkspace {
  const DevicePlan* plan;  // network size -> frame size
  MinMax* partials;        // kPartials
  std::uint8_t* matte;     // network height * network width bytes
  std::uint8_t* between;   // postprocess_device_between_bytes()

  // With options.refine:
  const std::uint8_t* guide = nullptr;  // the frame at the matte's size: planes red, green, blue
  float* lines = nullptr;               // refine_device_bytes()

  // With options.refine, or if shows_foreground():
  std::uint8_t* alpha = nullptr;  // alpha_plane_bytes()

  // If shows_foreground():
  std::uint8_t* front = nullptr;  // front_image_bytes()
  void* foreground = nullptr;     // foreground_device_bytes()

  // If over_blur(), as on the CPU:
  std::uint8_t* blurred = nullptr;
  std::uint8_t* blur_scratch = nullptr;

  // The partials come from running_range(), which replaces options.stretch.
  bool ranged = false;
};

std::size_t alpha_plane_bytes(Size frame);
std::size_t front_image_bytes(Size frame, PixelFormat format);

std::size_t postprocess_device_between_bytes(const ResamplePlan& plan);

/// The plan as postprocess() needs it.
DevicePlan add_for_postprocess(TableUpload& tables, const ResamplePlan& plan);

/// prediction: (network height, network width) of `dtype`. Everything else as for the CPU, all of it in GPU memory.
void postprocess(CudaQueue& queue, const void* prediction, DataType dtype, const ConstImageView& frame,
                 const PostprocessOptions& options, const PostprocessDeviceWorkspace& workspace, const ImageView& dst);

/// What alpha comes from: rows of the frame's width, which `table` resizes along columns; or finished alpha, if the
/// table keeps the size.
struct AlphaSource {
  DevicePlanes matte;
  DeviceTable table;
};

/// The last step: alpha, and alpha, cutout or composite from it, in one pass over the frame (finish_cuda.cu). dst:
/// output_channels() channels, the frame's size. Uses the output, `premultiplied` and the background of the options.
void finish(CudaQueue& queue, const AlphaSource& alpha, const ConstImageView& frame, const FrameOptions& options,
            const ImageView& dst);

}  // namespace rmbg
