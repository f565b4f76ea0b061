// SPDX-License-Identifier: Apache-2.0
// GPU functions in a build without CUDA: they throw UnavailableError.
#include "core/buffer.h"
#include "core/device.h"
#include "core/error.h"
#include "pipeline/result_pool.h"
#include "pipeline/slot.h"

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

void* allocate_cuda(MemoryKind, std::size_t) { throw UnavailableError(kNoCuda); }
void deallocate_cuda(MemoryKind, void*, std::size_t) noexcept {}
std::int64_t unfreed_cuda_bytes(MemoryKind) noexcept { return 0; }
void copy_to_host(void*, const void*, std::size_t) { throw UnavailableError(kNoCuda); }

std::shared_ptr<ResultPool> make_result_pool(int) { throw UnavailableError(kNoCuda); }

std::unique_ptr<Slot> make_cuda_slot(std::shared_ptr<Network>, const PipelineOptions&) {
  throw UnavailableError(kNoCuda);
}

}  // namespace rmbg
