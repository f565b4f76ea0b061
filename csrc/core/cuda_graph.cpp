// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_graph.h"

namespace rmbg {
namespace {

cudaKernelNodeParams parameters_of(const KernelLaunch& launch) {
  cudaKernelNodeParams parameters{};
  parameters.func = const_cast<void*>(launch.entry);
  parameters.gridDim = launch.grid;
  parameters.blockDim = launch.block;
  parameters.sharedMemBytes = static_cast<unsigned>(launch.shared_bytes);
  parameters.kernelParams = launch.arguments;
  return parameters;
}

}  // namespace

cudaGraphNode_t CudaGraph::add(const KernelLaunch& launch) {
  const cudaKernelNodeParams parameters = parameters_of(launch);
  cudaGraphNode_t node = nullptr;
  check(cudaGraphAddKernelNode(&node, graph_, after(), after_count(), &parameters), "adding a kernel to the graph");
  return last_ = node;
}

cudaGraphNode_t CudaGraph::add(const Copy& copy) {
  cudaGraphNode_t node = nullptr;
  check(cudaGraphAddMemcpyNode1D(&node, graph_, after(), after_count(), copy.to, copy.from, copy.bytes,
                                 cudaMemcpyDefault),
        "adding a copy to the graph");
  return last_ = node;
}

void CudaGraph::add_record(cudaEvent_t event) {
  cudaGraphNode_t node = nullptr;
  check(cudaGraphAddEventRecordNode(&node, graph_, after(), after_count(), event), "adding an event to the graph");
  last_ = node;
}

std::size_t CudaGraph::node_count() const {
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph_, nullptr, &count), "counting the nodes of a graph");
  return count;
}

CudaGraph end_recording(cudaStream_t stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream, &graph);
  cudaGetLastError();
  return CudaGraph(graph);
}

void CudaGraphExec::set(cudaGraphNode_t node, const KernelLaunch& launch) {
  const cudaKernelNodeParams parameters = parameters_of(launch);
  check(cudaGraphExecKernelNodeSetParams(exec_, node, &parameters), "changing a kernel of the graph");
}

void CudaGraphExec::set(cudaGraphNode_t node, const Copy& copy) {
  check(cudaGraphExecMemcpyNodeSetParams1D(exec_, node, copy.to, copy.from, copy.bytes, cudaMemcpyDefault),
        "changing a copy of the graph");
}

}  // namespace rmbg
