// SPDX-License-Identifier: Apache-2.0
// Kernels: the change of the guide, which also updates the state's; the range around each cell along rows; the same
// down columns, with the filter; and the running range.
#include "core/half_pixel.h"
#include "core/launch.cuh"
#include "core/mix_pixel.h"
#include "core/reduce.cuh"
#include "postprocess/stabilize.h"
#include "postprocess/stabilize_pixel.h"

namespace rmbg {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 8;  // of a block over the prediction

struct Sum {
  using Value = std::uint64_t;
  static constexpr __device__ Value neutral() { return 0; }
  static __device__ Value join(Value a, Value b) { return a + b; }
};

__device__ float load(const float* numbers, std::int64_t i) { return numbers[i]; }
__device__ float load(const std::uint16_t* numbers, std::int64_t i) { return from_half(numbers[i]); }
__device__ void store(float* numbers, std::int64_t i, float value) { numbers[i] = value; }
__device__ void store(std::uint16_t* numbers, std::int64_t i, float value) { numbers[i] = to_half(value); }

__global__ void __launch_bounds__(kThreads) difference_kernel(const std::uint8_t* guide, std::int64_t count, int first,
                                                              std::uint8_t* before, std::uint64_t* partials) {
  __shared__ std::uint64_t scratch[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  std::uint64_t sum = 0;
  const std::int64_t step = static_cast<std::int64_t>(kPartials) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + thread; i < count; i += step) {
    const std::uint8_t now = guide[i];
    const int change = first ? 0 : static_cast<int>(now) - static_cast<int>(before[i]);
    sum += static_cast<std::uint64_t>(change < 0 ? -change : change);
    before[i] = now;
  }
  sum = join_block<Sum, kThreads>(sum, scratch, thread);
  if (thread == 0) partials[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kWarp* kRows)
    row_range_kernel(const float* state, int width, int height, int first, float* low, float* high) {
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= width || y >= height || first) return;  // there is no state yet
  const std::int64_t row = static_cast<std::int64_t>(y) * width;
  float least = state[row + x], most = least;
  for (int d = -kStabilizeReach; d <= kStabilizeReach; ++d) {
    const float value = state[row + clamp_index(x + d, width)];
    least = value < least ? value : least;
    most = value > most ? value : most;
  }
  low[row + x] = least;
  high[row + x] = most;
}

template <typename Number>
__global__ void __launch_bounds__(kWarp* kRows)
    stabilize_kernel(Number* prediction, int width, int height, const float* low, const float* high,
                     const std::uint64_t* partials, std::int64_t guide_bytes, int first, float* state) {
  __shared__ std::uint64_t scratch[kWarp * kRows];
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const std::uint64_t changed = join_partials<Sum, kWarp * kRows>(partials, kPartials, scratch, thread);
  const int x = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (x >= width || y >= height) return;
  const std::int64_t at = static_cast<std::int64_t>(y) * width + x;
  const float now = load(prediction, at);
  if (first || changed >= static_cast<std::uint64_t>(guide_bytes) * kSceneCut) {
    state[at] = now;
    return;
  }
  float least = low[at], most = high[at];
  for (int d = -kStabilizeReach; d <= kStabilizeReach; ++d) {
    const std::int64_t other = static_cast<std::int64_t>(clamp_index(y + d, height)) * width + x;
    least = low[other] < least ? low[other] : least;
    most = high[other] > most ? high[other] : most;
  }
  const float value = stabilized(now, state[at], least, most);
  state[at] = value;
  store(prediction, at, value);
}

__global__ void __launch_bounds__(kPartials) range_kernel(MinMax* partials, int first, MinMax* range) {
  __shared__ MinMax scratch[kPartials];
  const int thread = static_cast<int>(threadIdx.x);
  const MinMax now = join_partials<WiderRange, kPartials>(partials, kPartials, scratch, thread);
  const MinMax before = first ? MinMax{0.0f, 0.0f} : *range;
  const MinMax next = followed_range(now, before, first != 0);
  __syncthreads();  // everyone has read what is written now
  partials[thread] = next;
  if (thread == 0) *range = next;
}

template <typename Number>
void filter(CudaQueue& queue, void* prediction, Size size, const float* low, const float* high,
            const std::uint64_t* partials, std::int64_t guide_bytes, bool first, float* state) {
  launch(queue, stabilize_kernel<Number>, dim3(blocks_for(size.height, kRows), blocks_for(size.width, kWarp)),
         dim3(kWarp, kRows), 0, static_cast<Number*>(prediction), size.width, size.height, low, high, partials,
         guide_bytes, first ? 1 : 0, state);
}

}  // namespace

std::size_t stabilize_device_bytes(Size prediction) {
  return kPartials * sizeof(std::uint64_t) + 2 * sizeof(float) * prediction.area();
}

void stabilize(CudaQueue& queue, void* prediction, DataType dtype, Size size, const std::uint8_t* guide,
               std::int64_t guide_bytes, bool first, const TemporalState& state, void* workspace) {
  auto* const partials = static_cast<std::uint64_t*>(workspace);
  auto* const low = reinterpret_cast<float*>(partials + kPartials);
  float* const high = low + static_cast<std::int64_t>(size.width) * size.height;
  launch(queue, difference_kernel, dim3(kPartials), dim3(kThreads), 0, guide, guide_bytes, first ? 1 : 0, state.guide,
         partials);
  launch(queue, row_range_kernel, dim3(blocks_for(size.height, kRows), blocks_for(size.width, kWarp)),
         dim3(kWarp, kRows), 0, state.matte, size.width, size.height, first ? 1 : 0, low, high);
  if (dtype == DataType::kFloat16) {
    filter<std::uint16_t>(queue, prediction, size, low, high, partials, guide_bytes, first, state.matte);
  } else {
    filter<float>(queue, prediction, size, low, high, partials, guide_bytes, first, state.matte);
  }
}

void running_range(CudaQueue& queue, const void* prediction, DataType dtype, Size size, bool first,
                   const TemporalState& state, MinMax* partials) {
  const std::int64_t count = static_cast<std::int64_t>(size.width) * size.height;
  min_max_partials(queue, prediction, dtype == DataType::kFloat16, count, partials);
  launch(queue, range_kernel, dim3(1), dim3(kPartials), 0, partials, first ? 1 : 0, state.range);
}

}  // namespace rmbg
