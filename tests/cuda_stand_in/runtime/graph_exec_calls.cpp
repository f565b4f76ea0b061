// SPDX-License-Identifier: Apache-2.0
// The runtime's calls that instantiate, update and launch graphs.
#include <utility>

#include "cuda_runtime_api.h"
#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/graph.h"
#include "runtime/graph_work.h"
#include "runtime/handles.h"

namespace stand_in {
namespace {

/// The step of an executable graph that a node of the graph it was made from names. That graph must still be there.
Step* find_step(cudaGraphExec_t exec, cudaGraphNode_t node) {
  if (!live<CUgraphExec_st>().has(exec) || !live<CUgraphNode_st>().has(node)) return nullptr;
  const auto found = exec->places.find(node->id);
  return found == exec->places.end() ? nullptr : &exec->plan[found->second];
}

/// Only single rows can be changed, and only to memory of the same contexts and mappings (CUDA runtime API,
/// cudaGraphExecMemcpyNodeSetParams).
cudaError_t change_copy(cudaGraphExec_t exec, cudaGraphNode_t node, WorkPointer work) {
  Step* const step = find_step(exec, node);
  if (step == nullptr) return cudaErrorInvalidValue;
  const auto* const before = dynamic_cast<const CopyWork*>(step->work.get());
  const auto* const now = dynamic_cast<const CopyWork*>(work.get());
  if (before == nullptr || !before->is_one_row() || !now->is_one_row() || !now->goes_like(*before))
    return cudaErrorInvalidValue;
  step->work = std::move(work);
  return cudaSuccess;
}

}  // namespace
}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call("cudaGraphInstantiate", [&] {
    if (!live<CUgraph_st>().has(graph)) return cudaErrorInvalidValue;
    const cudaError_t refused = refuse_while_recording();  // it may allocate
    if (refused != cudaSuccess) return refused;
    auto made = std::make_unique<CUgraphExec_st>();
    made->plan = graph->plan;
    for (CUgraphNode_st* const node : graph->nodes) made->places[node->id] = node->place;
    *exec = live<CUgraphExec_st>().add(std::move(made));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return release_call("cudaGraphExecDestroy", [&] {
    const cudaError_t refused = refuse_while_recording();  // it may free
    if (refused != cudaSuccess) return refused;
    return live<CUgraphExec_st>().remove(exec) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  return call("cudaGraphExecKernelNodeSetParams", [&] {
    WorkPointer work;
    const cudaError_t error = make_work(*parameters, work);
    if (error != cudaSuccess) return error;
    Step* const step = find_step(exec, node);
    if (step == nullptr || dynamic_cast<const KernelWork*>(step->work.get()) == nullptr) return cudaErrorInvalidValue;
    step->work = std::move(work);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaMemcpy3DParms* parameters) {
  return call("cudaGraphExecMemcpyNodeSetParams", [&] {
    WorkPointer work;
    const cudaError_t error = make_work(*parameters, work);
    return error != cudaSuccess ? error : change_copy(exec, node, std::move(work));
  });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* to, const void* from,
                                               size_t bytes, cudaMemcpyKind kind) {
  return call("cudaGraphExecMemcpyNodeSetParams1D", [&] {
    WorkPointer work;
    const cudaError_t error = make_node_copy({to, bytes, from, bytes, bytes, 1}, kind, work);
    return error != cudaSuccess ? error : change_copy(exec, node, std::move(work));
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  return call("cudaGraphLaunch", [&] {
    CUstream_st* const stream = find_stream(handle);
    if (!live<CUgraphExec_st>().has(exec)) return cudaErrorInvalidValue;
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) return refuse_on(*stream);
    WorkPointer run = make_run(exec->plan, *stream);
    if (run == nullptr) return cudaErrorInvalidValue;
    // A graph never runs twice at once: the next run waits for the previous one.
    if (exec->latest != nullptr && !exec->latest->reached) submit(*stream, std::make_shared<WaitWork>(exec->latest));
    submit(*stream, std::move(run));
    exec->latest = mark_end(*stream);
    return cudaSuccess;
  });
}
