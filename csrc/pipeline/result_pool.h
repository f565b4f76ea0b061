// SPDX-License-Identifier: Apache-2.0
// GPU memory for results. A caller keeps a result as long as it likes; what it gives back is used again, in the order
// of the streams that had to do with it, so nothing is allocated per frame. For that an event is put on each stream of
// used_on() when the memory is given back: such a stream must still be there. CUDA has no call that tells a handle of a
// stream that was destroyed (it may even be a new stream's by then), so this is the users' part. Default streams do not
// end before; where one belongs to another thread than the one that gives back, giving back waits for the GPU.
#pragma once

#include <cstddef>
#include <memory>

#include "core/device_memory.h"
#include "core/stream.h"

namespace rmbg {

/// Memory of a ResultPool, or of somebody else, that a job writes.
class ResultMemory : public DeviceMemory {
 public:
  /// To be called when the work that writes the memory has been put on `stream`.
  virtual void written_on(Stream stream) = 0;
};

class ResultPool {
 public:
  virtual ~ResultPool() = default;
  /// At least `bytes`; work put on `stream` from now on may write them. Throws CudaError.
  virtual std::shared_ptr<ResultMemory> take(std::size_t bytes, Stream stream) = 0;
};

/// For one GPU. The pool lives as long as anything that was taken from it. Throws UnavailableError without CUDA.
std::shared_ptr<ResultPool> make_result_pool(int device);

}  // namespace rmbg
