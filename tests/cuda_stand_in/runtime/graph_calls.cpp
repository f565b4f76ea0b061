// SPDX-License-Identifier: Apache-2.0
// The runtime's calls that build graphs.
#include <algorithm>
#include <utility>

#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/graph.h"
#include "runtime/graph_work.h"
#include "runtime/handles.h"

namespace stand_in {
namespace {

/// Adds a step whose content is already there or was found wrong.
cudaError_t add(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after, std::size_t count, Step step,
                cudaError_t error) {
  if (error != cudaSuccess) return error;
  if (!live<CUgraph_st>().has(graph)) return cudaErrorInvalidValue;
  for (std::size_t i = 0; i < count; ++i) {
    if (!live<CUgraphNode_st>().has(after[i]) || after[i]->graph != graph) return cudaErrorInvalidValue;
    step.after.push_back(after[i]->place);
  }
  *node = graph->add(std::move(step));
  return cudaSuccess;
}

}  // namespace
}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned int) {
  return call("cudaGraphCreate", [&] {
    *graph = live<CUgraph_st>().add(std::make_unique<CUgraph_st>());
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return release_call("cudaGraphDestroy",
                      [&] { return live<CUgraph_st>().remove(graph) ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after, size_t count,
                                   const cudaKernelNodeParams* parameters) {
  return call("cudaGraphAddKernelNode", [&] {
    Step step;
    const cudaError_t error = make_work(*parameters, step.work);
    return add(node, graph, after, count, std::move(step), error);
  });
}

cudaError_t cudaGraphAddMemcpyNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after, size_t count,
                                   const cudaMemcpy3DParms* parameters) {
  return call("cudaGraphAddMemcpyNode", [&] {
    Step step;
    const cudaError_t error = make_work(*parameters, step.work);
    return add(node, graph, after, count, std::move(step), error);
  });
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after,
                                     size_t count, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaGraphAddMemcpyNode1D", [&] {
    Step step;
    const cudaError_t error = make_node_copy({to, bytes, from, bytes, bytes, 1}, kind, step.work);
    return add(node, graph, after, count, std::move(step), error);
  });
}

cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after,
                                       size_t count, cudaGraph_t child) {
  return call("cudaGraphAddChildGraphNode", [&] {
    if (!live<CUgraph_st>().has(child)) return cudaErrorInvalidValue;
    Step step;
    step.child = std::make_shared<const Plan>(child->plan);
    return add(node, graph, after, count, std::move(step), cudaSuccess);
  });
}

cudaError_t cudaGraphAddEventRecordNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after,
                                        size_t count, cudaEvent_t event) {
  return call("cudaGraphAddEventRecordNode", [&] {
    Step step;
    step.event = event;
    const cudaError_t error = live<CUevent_st>().has(event) ? cudaSuccess : cudaErrorInvalidValue;
    return add(node, graph, after, count, std::move(step), error);
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return call("cudaGraphGetNodes", [&] {
    if (!live<CUgraph_st>().has(graph)) return cudaErrorInvalidValue;
    if (nodes != nullptr) {
      *count = std::min(*count, graph->nodes.size());
      std::copy_n(graph->nodes.begin(), *count, nodes);
    } else {
      *count = graph->nodes.size();
    }
    return cudaSuccess;
  });
}
