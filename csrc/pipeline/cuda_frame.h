// SPDX-License-Identifier: Apache-2.0
// Frames on a GPU: which of them share graphs, what is kept for those, and where the parts of one frame are.
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

/// Where one frame's parts are on the GPU, and its copies there and back. Empty copies are skipped.
struct CudaTask {
  ConstImageView frame;  // colours (of an NV12 frame: converted from `nv12` on the GPU), or gray
  ConstImageView nv12;
  ImageView color;  // receives the colours of an NV12 frame
  ImageView result;
  Background background;
  TemporalState temporal{};  // of the frame's track
  bool first = false;        // nothing is carried over to this frame
  Copy copy_in{};
  Copy copy_background{};
  Copy copy_out{};
};

/// Everything that decides a frame's kernels and grids, and which addresses its copies can change to. Frames with the
/// same key differ only in pointers and pitches, and share graphs.
struct GraphKey {
  int width, height;
  PixelFormat format;
  FrameOptions options;  // those that affect its output; only the kind of the background
  bool stabilize, running_stretch;
  MemoryKind memory, background_memory;
  bool words;  // rows of the frame, and of its NV12, can be read in words
  PinnedOrigin frame_origin, background_origin, result_origin;  // of the host side of copies

  friend bool operator==(const GraphKey& a, const GraphKey& b) {
    return a.width == b.width && a.height == b.height && a.format == b.format && same_work(a.options, b.options) &&
           a.stabilize == b.stabilize && a.running_stretch == b.running_stretch && a.memory == b.memory &&
           a.background_memory == b.background_memory && a.words == b.words && a.frame_origin == b.frame_origin &&
           a.background_origin == b.background_origin && a.result_origin == b.result_origin;
  }
};

GraphKey graph_key(const FrameJob& job, const CudaTask& task);

/// The stages of a frame, in order. Only kCarryOver has to wait for the previous frame of a track.
enum class Stage { kCopyIn, kPreprocess, kNetwork, kCarryOver, kPostprocess, kCopyOut };
constexpr int kStages = static_cast<int>(Stage::kCopyOut) + 1;

/// Stages that follow each other, the last one included.
struct StageRange {
  Stage first, last;
};
/// The stages that become graphs, shared by all frames of a key: all but the network and kCarryOver.
constexpr StageRange kFrameGraphs[] = {{Stage::kCopyIn, Stage::kPreprocess}, {Stage::kPostprocess, Stage::kCopyOut}};

/// A range of stages as a graph, with its nodes, which receive each frame's addresses.
struct FrameGraph {
  StageRange stages;
  CudaGraphExec exec;
  std::vector<RecordedNode> nodes;
};

/// When to retry after a failure: after one more request, then after 2, 4 and so on.
class Backoff {
 public:
  bool ready() { return wait_ == 0 || wait_-- == 0; }
  /// Returns how many requests will be refused.
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

/// What is kept for the frames of one key.
struct CudaFramePlan {
  GraphKey key{};
  std::uint64_t last_use = 0;
  int frames = 0;  // so far
  DevicePlan to_network, to_frame;
  Buffer tables{MemoryKind::kDevice};  // of both
  std::vector<FrameGraph> graphs;      // kFrameGraphs, or none
  Backoff backoff;                     // after failures to record or update them
};

/// Plans by key; the least recently used one is replaced.
class CudaFramePlanCache {
 public:
  static constexpr int kCapacity = 8;

  /// Both results are valid until the next call. find() returns nullptr if there is none yet. make() copies the tables
  /// of `host` on `stream`; the previous plan's copy must have ended.
  CudaFramePlan* find(const GraphKey& key);
  CudaFramePlan& make(const GraphKey& key, const FramePlan& host, cudaStream_t stream);
  /// The most recently used plan, or nullptr.
  CudaFramePlan* latest();
  void forget_graphs();
  void clear() { plans_.clear(); }

 private:
  std::uint64_t uses_ = 0;
  std::vector<CudaFramePlan> plans_;
  Buffer staging_{MemoryKind::kPinned};  // for copies of tables
};

}  // namespace rmbg
