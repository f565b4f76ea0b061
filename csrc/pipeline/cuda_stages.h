// SPDX-License-Identifier: Apache-2.0
// Pre- and postprocessing on the GPU, and their memory. The order of the stages is the same whether the queue launches
// them, records them into a graph or updates one.
#pragma once

#include "core/buffer.h"
#include "core/cuda_queue.h"
#include "network/network.h"
#include "pipeline/cuda_frame.h"
#include "preprocess/preprocess_cuda.h"

namespace rmbg {

class CudaStages {
 public:
  /// Copies tables on `stream` and waits for it.
  CudaStages(const NetworkSpec& spec, const PipelineOptions& options, cudaStream_t stream);

  /// What the network reads and writes.
  TensorView tensor() const {
    return {tensor_.as<void>(), spec_.input.shape, spec_.input.dtype, device_, spec_.input.layout};
  }
  TensorView prediction() const { return {prediction_.as<void>(), spec_.output.shape, spec_.output.dtype, device_}; }

  /// Bytes of the resized frame before normalization.
  std::size_t guide_bytes() const;

  /// Reserves memory for the frames of a key. Returns whether a buffer moved.
  bool reserve(const FramePlan& plan, const GraphKey& key);

  /// Puts stages on a queue. The network's stage does nothing here.
  void put(Stage stage, CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const;
  void put(const StageRange& stages, CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const {
    for (int i = static_cast<int>(stages.first); i <= static_cast<int>(stages.last); ++i)
      put(static_cast<Stage>(i), queue, plan, task);
  }

 private:
  void preprocess_frame(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const;
  void carry_over(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const;
  void postprocess_frame(CudaQueue& queue, const CudaFramePlan& plan, const CudaTask& task) const;

  NetworkSpec spec_;
  int device_;
  Stretch stretch_;
  MinMax range_;
  NormalizationTables tables_;
  Buffer tensor_, prediction_;
  Buffer between_{MemoryKind::kDevice}, resized_{MemoryKind::kDevice}, matte_{MemoryKind::kDevice};
  Buffer partials_{MemoryKind::kDevice}, alpha_between_{MemoryKind::kDevice};
  Buffer lines_{MemoryKind::kDevice}, alpha_{MemoryKind::kDevice}, front_{MemoryKind::kDevice};
  Buffer foreground_{MemoryKind::kDevice}, temporal_{MemoryKind::kDevice};
  Buffer blur_{MemoryKind::kDevice}, blur_scratch_{MemoryKind::kDevice};
};

}  // namespace rmbg
