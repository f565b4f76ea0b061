// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_queue.h"

#include <cstring>

namespace rmbg {
namespace {

std::vector<unsigned char> bytes_of(const KernelLaunch& launch, const std::size_t* sizes, int count) {
  std::vector<unsigned char> bytes;
  for (int i = 0; i < count; ++i) {
    const auto* argument = static_cast<const unsigned char*>(launch.arguments[i]);
    bytes.insert(bytes.end(), argument, argument + sizes[i]);
  }
  return bytes;
}

/// Whether the arguments equal the recorded ones; records them if not.
bool same_arguments(RecordedNode& node, const KernelLaunch& launch, const std::size_t* sizes, int count) {
  bool same = true;
  unsigned char* recorded = node.arguments.data();
  for (int i = 0; i < count; recorded += sizes[i], ++i)
    if (std::memcmp(recorded, launch.arguments[i], sizes[i]) != 0) {
      std::memcpy(recorded, launch.arguments[i], sizes[i]);
      same = false;
    }
  return same;
}

}  // namespace

RecordedNode& CudaQueue::next_node() {
  if (cursor_ == nodes_->size()) throw Error("internal error: a graph gets more work than was recorded");
  return (*nodes_)[cursor_++];
}

void CudaQueue::launch(const KernelLaunch& launch, const std::size_t* sizes, int count) {
  if (exec_ != nullptr) {
    RecordedNode& node = next_node();
    if (!same_arguments(node, launch, sizes, count)) exec_->set(node.node, launch);
  } else if (graph_ != nullptr) {
    nodes_->push_back({graph_->add(launch), bytes_of(launch, sizes, count)});
  } else {
    check(cudaLaunchKernel(launch.entry, launch.grid, launch.block, launch.arguments, launch.shared_bytes, stream_),
          "launching a kernel");
  }
}

void CudaQueue::copy(const Copy& copy) {
  void* pointers[] = {const_cast<Copy*>(&copy)};
  const std::size_t size = sizeof(copy);
  if (exec_ != nullptr) {
    RecordedNode& node = next_node();
    if (!same_arguments(node, {nullptr, {}, {}, 0, pointers}, &size, 1)) exec_->set(node.node, copy);
  } else if (graph_ != nullptr) {
    nodes_->push_back({graph_->add(copy), bytes_of({nullptr, {}, {}, 0, pointers}, &size, 1)});
  } else {
    check(cudaMemcpyAsync(copy.to, copy.from, copy.bytes, cudaMemcpyDefault, stream_), "copying");
  }
}

}  // namespace rmbg
