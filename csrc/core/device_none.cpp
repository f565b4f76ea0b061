// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/device.h"
#include "core/error.h"

namespace rmbg {

DeviceReport cuda_report() {
  DeviceReport report;
  report.problem = kNoCuda;
  return report;
}

int select_device(int) { throw UnavailableError(kNoCuda); }

std::shared_ptr<void> hold_device(int) { throw UnavailableError(kNoCuda); }

void check_not_capturing(Stream) {}

void order_streams(int, Stream, Stream) { throw UnavailableError(kNoCuda); }

void copy_on_device(void*, const void*, std::size_t, Stream) { throw UnavailableError(kNoCuda); }

}  // namespace rmbg
