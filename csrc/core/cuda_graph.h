// SPDX-License-Identifier: Apache-2.0
// A CUDA graph that is built as a chain of nodes, made executable once, and replayed; arguments of its nodes can be
// changed in place (CUDA programming guide, "CUDA Graphs").
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "core/cuda_capture_mode.h"
#include "core/cuda_check.h"

namespace rmbg {

/// What a kernel node runs. `arguments` points to one pointer for each parameter.
struct KernelLaunch {
  const void* entry;
  dim3 grid, block;
  std::size_t shared_bytes;
  void** arguments;
};

/// Bytes from one place to another, in whatever memory each lies. One stretch: only such copies can be changed in a
/// graph (CUDA runtime API, cudaGraphExecMemcpyNodeSetParams).
struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

/// Owned cudaGraph_t: the plan of a graph.
class CudaGraph {
 public:
  CudaGraph() { check(cudaGraphCreate(&graph_, 0), "making a graph"); }
  /// Takes over a graph that stream capture made; nullptr is no graph.
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

  /// Each adds a node that runs after the one added before it.
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

/// Ends what cudaStreamBeginCapture began; the graph is empty (nullptr) where recording failed.
CudaGraph end_recording(cudaStream_t stream) noexcept;

/// What `enqueue()` puts on the stream, as a graph; nothing of it runs. It may neither wait nor allocate GPU memory.
/// If it throws, the recording is ended and the stream is as before. Throws CudaError where nothing was recorded.
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

/// Owned cudaGraphExec_t: a graph that can be launched.
class CudaGraphExec {
 public:
  CudaGraphExec() = default;
  /// Keeps the plan, whose nodes name its own.
  explicit CudaGraphExec(CudaGraph graph) : CudaGraphExec(graph.get()) { graph_ = std::move(graph); }
  /// From another owner's plan, which is not needed any more. Its nodes cannot be changed.
  explicit CudaGraphExec(cudaGraph_t graph) {
    const CaptureModeScope relaxed;  // it may allocate
    check(cudaGraphInstantiate(&exec_, graph, 0), "making the graph executable");
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
