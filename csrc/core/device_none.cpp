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

std::shared_ptr<void> hold_device(int, bool) { throw UnavailableError(kNoCuda); }

std::shared_ptr<void> make_stream(Stream&) { throw UnavailableError(kNoCuda); }

bool is_capturing(Stream) { return false; }

void check_not_capturing(Stream, const char*) {}

void order_streams(int, Stream, Stream) { throw UnavailableError(kNoCuda); }

void copy_on_device(void*, const void*, std::size_t, Stream) { throw UnavailableError(kNoCuda); }

}  // namespace rmbg
