// SPDX-License-Identifier: Apache-2.0
// Work for the GPU, in order. The same code launches a frame's kernels on a stream, records them into a graph, and
// later updates the graph's arguments: the queue decides what a launch does.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <type_traits>
#include <vector>

#include "core/cuda_graph.h"

namespace rmbg {

/// One launch or copy in a graph, with the bytes of its arguments, to detect changes.
struct RecordedNode {
  cudaGraphNode_t node;
  std::vector<unsigned char> arguments;
};

class CudaQueue {
 public:
  /// Runs the work on this stream.
  explicit CudaQueue(cudaStream_t stream) : stream_(stream) {}
  /// Records the work as nodes at the end of this graph.
  CudaQueue(CudaGraph& graph, std::vector<RecordedNode>& nodes) : graph_(&graph), nodes_(&nodes) {}
  /// Updates recorded work: the same calls in the same order, with other pointers.
  CudaQueue(CudaGraphExec& exec, std::vector<RecordedNode>& nodes) : exec_(&exec), nodes_(&nodes) {}

  /// sizes: bytes of each argument. Throws CudaError.
  void launch(const KernelLaunch& launch, const std::size_t* sizes, int count);
  void copy(const Copy& copy);

 private:
  RecordedNode& next_node();

  cudaStream_t stream_ = nullptr;
  CudaGraph* graph_ = nullptr;
  CudaGraphExec* exec_ = nullptr;
  std::vector<RecordedNode>* nodes_ = nullptr;
  std::size_t cursor_ = 0;
};

/// The kernel's handle for CUDA's calls. (In tests/cuda_stand_in kernels are CPU functions.)
template <typename... P>
const void* kernel_entry(void (*kernel)(P...)) {
#if defined(RMBG_CUDA_STAND_IN)
  return stand_in::kernel_entry(kernel);
#else
  return reinterpret_cast<const void*>(kernel);
#endif
}

/// Puts a kernel on a queue: launch(queue, kernel, grid, block, bytes of dynamic shared memory, arguments...).
template <typename... P>
void launch(CudaQueue& queue, void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes,
            std::common_type_t<P>... arguments) {
  static_assert(((std::has_unique_object_representations_v<P> || std::is_floating_point_v<P>) && ...),
                "arguments are compared byte by byte, so structs must have no padding");
  void* pointers[] = {&arguments...};
  const std::size_t sizes[] = {sizeof(P)...};
  queue.launch({kernel_entry(kernel), grid, block, shared_bytes, pointers}, sizes, static_cast<int>(sizeof...(P)));
}

}  // namespace rmbg
