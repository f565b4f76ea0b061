// SPDX-License-Identifier: Apache-2.0
// A CUDA graph: a chain of nodes, instantiated once and replayed. Arguments of its nodes can be changed in place (CUDA
// programming guide, "CUDA Graphs").
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "core/cuda_check.h"

namespace rmbg {

/// What a kernel node runs. `arguments` points to one pointer for each parameter.
struct KernelLaunch {
  const void* entry;
  dim3 grid, block;
  std::size_t shared_bytes;
  void** arguments;
};

/// Copies contiguous bytes between any two kinds of memory. Only contiguous copies can be changed in a graph (CUDA
/// runtime API, cudaGraphExecMemcpyNodeSetParams).
struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

/// Owned cudaGraph_t.
class CudaGraph {
 public:
  CudaGraph() { check(cudaGraphCreate(&graph_, 0), "creating a graph"); }
  /// Takes ownership of a captured graph, or nullptr.
  explicit CudaGraph(cudaGraph_t graph) : graph_(graph) {}
  ~CudaGraph() {
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  CudaGraph(CudaGraph&& other) noexcept
      : graph_(std::exchange(other.graph_, nullptr)), last_(std::exchange(other.last_, nullptr)) {}
  CudaGraph& operator=(CudaGraph&& other) noexcept {
    std::swap(graph_, other.graph_);
    std::swap(last_, other.last_);
    return *this;
  }

  cudaGraph_t get() const { return graph_; }

  /// Each adds a node that runs after the previous one.
  cudaGraphNode_t add(const KernelLaunch& launch);
  cudaGraphNode_t add(const Copy& copy);
  void add_record(cudaEvent_t event);
  std::size_t node_count() const;

 private:
  const cudaGraphNode_t* after() const { return last_ == nullptr ? nullptr : &last_; }
  std::size_t after_count() const { return last_ == nullptr ? 0 : 1; }

  cudaGraph_t graph_ = nullptr;
  cudaGraphNode_t last_ = nullptr;
};

/// Ends a capture. The graph is empty (nullptr) if recording failed.
CudaGraph end_recording(cudaStream_t stream) noexcept;

/// Records what `enqueue()` puts on the stream, without running it. enqueue() may neither wait nor allocate GPU memory.
/// If it throws, the capture ends and the stream is as before. Throws CudaError if nothing was recorded.
template <typename Enqueue>
CudaGraph record(cudaStream_t stream, Enqueue&& enqueue) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "beginning to record the network");
  try {
    enqueue();
  } catch (...) {
    end_recording(stream);
    throw;
  }
  CudaGraph graph = end_recording(stream);
  if (graph.get() == nullptr) check(cudaErrorStreamCaptureInvalidated, "recording the network");
  if (graph.node_count() == 0) throw CudaError("recording the network: it put no work on the stream");
  return graph;
}

/// Owned cudaGraphExec_t: an instantiated graph.
class CudaGraphExec {
 public:
  CudaGraphExec() = default;
  /// Keeps the graph: its nodes are the handles for set().
  explicit CudaGraphExec(CudaGraph graph) : CudaGraphExec(graph.get()) { graph_ = std::move(graph); }
  /// From another owner's graph, which is not needed afterwards. Its nodes cannot be changed.
  explicit CudaGraphExec(cudaGraph_t graph) {
    const CaptureModeScope relaxed;  // it may allocate
    check(cudaGraphInstantiate(&exec_, graph, 0), "instantiating the graph");
  }
  ~CudaGraphExec() {
    if (exec_ == nullptr) return;
    const CaptureModeScope relaxed;  // it may free memory
    cudaGraphExecDestroy(exec_);
  }
  CudaGraphExec(CudaGraphExec&& other) noexcept
      : graph_(std::move(other.graph_)), exec_(std::exchange(other.exec_, nullptr)) {}
  CudaGraphExec& operator=(CudaGraphExec&& other) noexcept {
    std::swap(graph_, other.graph_);
    std::swap(exec_, other.exec_);
    return *this;
  }

  explicit operator bool() const { return exec_ != nullptr; }
  /// New arguments for a node; launches in flight keep the old ones.
  void set(cudaGraphNode_t node, const KernelLaunch& launch);
  void set(cudaGraphNode_t node, const Copy& copy);
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(exec_, stream), "launching the graph"); }

 private:
  CudaGraph graph_{nullptr};
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace rmbg
