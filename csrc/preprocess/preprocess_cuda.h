// SPDX-License-Identifier: Apache-2.0
// preprocess.h on the GPU: frame to network input, to the bit as on the CPU.
#pragma once

#include <cstdint>

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "core/data_type.h"
#include "preprocess/preprocess.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// All possible normalization tables in GPU memory: 256 maxima x 3 colours x 256 bytes, as float32 or float16. The host
/// computes them with the CPU's function, in double.
class NormalizationTables {
 public:
  NormalizationTables(const Normalization& normalization, DataType dtype, cudaStream_t stream);
  const void* data() const { return memory_.as<void>(); }
  DataType dtype() const { return dtype_; }

 private:
  Buffer memory_{MemoryKind::kDevice};
  DataType dtype_;
};

/// The GPU memory of preprocess(), sized for one frame; owned by the caller.
struct PreprocessDeviceWorkspace {
  const DevicePlan* plan;  // frame size -> network size
  std::uint8_t* between;   // preprocess_device_between_bytes()
  std::uint8_t* resized;   // 3 * network height * network width bytes
  std::uint8_t* partials;  // resample_blocks_bound(network size) bytes
  const NormalizationTables* tables;
};

std::size_t preprocess_device_between_bytes(const ResamplePlan& plan, int frame_channels);

/// The plan as preprocess() needs it.
DevicePlan add_for_preprocess(TableUpload& tables, const ResamplePlan& plan, int frame_channels);

/// frame: in GPU memory, any format, any pitch. tensor: as preprocess.h describes it, of the tables' dtype.
void preprocess(CudaQueue& queue, const ConstImageView& frame, const PreprocessDeviceWorkspace& workspace,
                Layout layout, void* tensor);

}  // namespace rmbg
