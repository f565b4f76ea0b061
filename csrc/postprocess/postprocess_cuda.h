// SPDX-License-Identifier: Apache-2.0
// postprocess.h on the GPU: network output to result, to the bit as on the CPU.
#pragma once

#include <cstdint>

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "core/data_type.h"
#include "core/reduce_cuda.h"
#include "postprocess/postprocess.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// Everything postprocess() works with, in GPU memory, sized for one frame; owned by the caller.
struct PostprocessDeviceWorkspace {
  const DevicePlan* plan;  // network size -> frame size
  MinMax* partials;        // kPartials
  std::uint8_t* matte;     // network height * network width bytes
  std::uint8_t* between;   // postprocess_device_between_bytes()

  // Where options.refine is asked for.
  const std::uint8_t* guide = nullptr;  // the frame at the matte's size: planes red, green, blue
  float* lines = nullptr;               // refine_device_bytes()

  // Where options.refine is asked for or shows_foreground().
  std::uint8_t* alpha = nullptr;  // alpha_plane_bytes()

  // Where shows_foreground().
  std::uint8_t* front = nullptr;  // front_image_bytes()
  void* foreground = nullptr;     // foreground_device_bytes()

  // Where over_blur(), as for the CPU.
  std::uint8_t* blurred = nullptr;
  std::uint8_t* blur_scratch = nullptr;

  // The partials are those of a running_range(), which takes the place of options.stretch.
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

}  // namespace rmbg
