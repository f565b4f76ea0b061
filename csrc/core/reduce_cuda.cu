// SPDX-License-Identifier: Apache-2.0
// The first step of the reduction: kPartials blocks stride over the samples.
#include "core/half_pixel.h"
#include "core/reduce.cuh"

namespace rmbg {
namespace {

constexpr int kThreads = 256;

struct Floats {
  using Op = WiderRange;
  static __device__ MinMax value(const void* samples, std::int64_t i) {
    const float sample = static_cast<const float*>(samples)[i];
    return {sample, sample};
  }
};

struct Halves {
  using Op = WiderRange;
  static __device__ MinMax value(const void* samples, std::int64_t i) {
    const float sample = from_half(static_cast<const std::uint16_t*>(samples)[i]);
    return {sample, sample};
  }
};

template <typename Source>
__global__ void __launch_bounds__(kThreads)
    partials_kernel(const void* samples, std::int64_t count, typename Source::Op::Value* partials) {
  using Op = typename Source::Op;
  __shared__ typename Op::Value scratch[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads;
  typename Op::Value value = Op::neutral();
  if (first >= count) {  // no samples for this block
    if (thread == 0) partials[blockIdx.x] = value;
    return;
  }
  const std::int64_t step = static_cast<std::int64_t>(kPartials) * kThreads;
  for (std::int64_t i = first + thread; i < count; i += step) value = Op::join(value, Source::value(samples, i));
  value = join_block<Op, kThreads>(value, scratch, thread);
  if (thread == 0) partials[blockIdx.x] = value;
}

template <typename Source>
void run(CudaQueue& queue, const void* samples, std::int64_t count, typename Source::Op::Value* partials) {
  launch(queue, partials_kernel<Source>, dim3(kPartials), dim3(kThreads), 0, samples, count, partials);
}

}  // namespace

void min_max_partials(CudaQueue& queue, const void* samples, bool half, std::int64_t count, MinMax* partials) {
  if (half) {
    run<Halves>(queue, samples, count, partials);
  } else {
    run<Floats>(queue, samples, count, partials);
  }
}

}  // namespace rmbg
