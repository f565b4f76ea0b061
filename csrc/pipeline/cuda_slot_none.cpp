// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/error.h"
#include "pipeline/slot.h"

namespace rmbg {

std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network>, const PipelineOptions&) {
  throw UnavailableError(kNoCuda);
}

}  // namespace rmbg
