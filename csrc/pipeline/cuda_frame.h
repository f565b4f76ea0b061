// SPDX-License-Identifier: Apache-2.0
// Frames on a GPU: their kinds, what is kept for each kind, and where the parts of one frame lie.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/cuda_pointer.h"
#include "core/cuda_queue.h"
#include "pipeline/frame_job.h"
#include "pipeline/frame_plan.h"
#include "preprocess/resample_cuda.h"

namespace rmbg {

/// Where one frame's parts lie on the GPU, and what is copied there and back. Copies of no bytes are left out.
struct CudaTask {
  ConstImageView frame;  // in colours (of an NV12 frame: made from `nv12` on the GPU), or gray
  ConstImageView nv12;
  ImageView color;  // where the colours of an NV12 frame go
  ImageView result;
  Background background;
  TemporalState temporal{};  // of the frame's track
  bool first = false;        // nothing is carried over to it
  Copy copy_in{};
  Copy copy_background{};
  Copy copy_out{};
};

/// Everything that decides which kernels a frame needs, with which grids, and what its copies may be changed to. Two
/// frames with the same key differ in pointers and row distances only, and share graphs.
struct GraphKey {
  int width, height;
  PixelFormat format;
  FrameOptions options;  // those that matter for its output; of the background only the kind
  bool stabilize, running_stretch;
  MemoryKind memory, background_memory;
  bool words;  // the frame's rows, and those of its NV12, can be read in words
  PinnedOrigin frame_origin, background_origin, result_origin;  // of what is copied, on the host

  friend bool operator==(const GraphKey& a, const GraphKey& b) {
    return a.width == b.width && a.height == b.height && a.format == b.format && same_work(a.options, b.options) &&
           a.stabilize == b.stabilize && a.running_stretch == b.running_stretch && a.memory == b.memory &&
           a.background_memory == b.background_memory && a.words == b.words && a.frame_origin == b.frame_origin &&
           a.background_origin == b.background_origin && a.result_origin == b.result_origin;
  }
};

GraphKey graph_key(const FrameJob& job, const CudaTask& task);

/// A frame's way, in this order. Carrying over is all that frames of a track do in turns.
enum class Stage { kCopyIn, kPreprocess, kNetwork, kCarryOver, kPostprocess, kCopyOut };
constexpr int kStages = static_cast<int>(Stage::kCopyOut) + 1;

/// Stages that follow each other, the last one included.
struct StageRange {
  Stage first, last;
};
/// What a frame needs besides the network and what it carries over: each is a graph, the same for all frames of a key.
constexpr StageRange kFrameGraphs[] = {{Stage::kCopyIn, Stage::kPreprocess}, {Stage::kPostprocess, Stage::kCopyOut}};

/// A range of stages as a graph, with its nodes, which are given each frame's addresses.
struct FrameGraph {
  StageRange stages;
  CudaGraphExec exec;
  std::vector<RecordedNode> nodes;
};

/// When to try again what failed: after one more request, then after 2, 4 and so on.
class Backoff {
 public:
  bool ready() { return wait_ == 0 || wait_-- == 0; }
  /// Gives the requests that will be refused.
  int fail() {
    wait_ = next_wait_;
    next_wait_ = next_wait_ < kLongest ? next_wait_ * 2 : kLongest;
    return wait_;
  }
  void succeed() {
    wait_ = 0;
    next_wait_ = 1;
  }

 private:
  static constexpr int kLongest = 4096;
  int wait_ = 0, next_wait_ = 1;
};

/// What is kept for a kind of frame.
struct CudaFramePlan {
  GraphKey key{};
  std::uint64_t last_use = 0;
  int frames = 0;  // seen so far
  DevicePlan to_network, to_frame;
  Buffer tables{MemoryKind::kDevice};  // of both
  std::vector<FrameGraph> graphs;      // kFrameGraphs, or none
  Backoff backoff;                     // of making and changing them
};

/// Plans by kind; the one used longest ago makes room.
class CudaFramePlanCache {
 public:
  static constexpr int kCapacity = 8;

  /// Both are valid until the next call. find(): nullptr where there is none yet. make(): `host` has the tables, which
  /// `stream` brings to the GPU; the copy of the plan made before must have ended.
  CudaFramePlan* find(const GraphKey& key);
  CudaFramePlan& make(const GraphKey& key, const FramePlan& host, cudaStream_t stream);
  /// The plan used last, or nullptr.
  CudaFramePlan* latest();
  void forget_graphs();
  void clear() { plans_.clear(); }

 private:
  std::uint64_t uses_ = 0;
  std::vector<CudaFramePlan> plans_;
  Buffer staging_{MemoryKind::kPinned};  // of tables on their way
};

}  // namespace rmbg
