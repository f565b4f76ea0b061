// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/error.h"
#include "pipeline/result_pool.h"

namespace rmbg {

std::shared_ptr<ResultPool> make_result_pool(int) { throw UnavailableError(kNoCuda); }

}  // namespace rmbg
