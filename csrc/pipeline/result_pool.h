// SPDX-License-Identifier: Apache-2.0
// GPU memory for results, reused in stream order, so that nothing is allocated per frame. When a caller drops a result,
// an event is recorded on each stream of used_on(), so these streams must still exist: CUDA cannot tell the handle of a
// destroyed stream, which may already be a new stream's. The per-thread default stream of another thread is out of
// reach; then dropping the result waits for the GPU.
#pragma once

#include <cstddef>
#include <memory>

#include "core/device_memory.h"
#include "core/stream.h"

namespace rmbg {

/// Memory that a job writes.
class ResultMemory : public DeviceMemory {
 public:
  /// Call this when the work that writes the memory is on `stream`.
  virtual void written_on(Stream stream) = 0;
};

class ResultPool {
 public:
  virtual ~ResultPool() = default;
  /// At least `bytes`, which later work on `stream` may write. Throws CudaError.
  virtual std::shared_ptr<ResultMemory> take(std::size_t bytes, Stream stream) = 0;
};

/// A pool on one GPU. It lives as long as any memory taken from it. Throws UnavailableError without CUDA.
std::shared_ptr<ResultPool> make_result_pool(int device);

}  // namespace rmbg
