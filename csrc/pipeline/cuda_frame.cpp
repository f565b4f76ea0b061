// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cuda_frame.h"

#include <algorithm>

#include "postprocess/postprocess_cuda.h"
#include "preprocess/preprocess_cuda.h"

namespace rmbg {
namespace {

PinnedOrigin origin(const void* host, const Copy& copy) {
  return copy.bytes == 0 ? PinnedOrigin{} : pinned_origin(host, copy.bytes);
}

bool older(const CudaFramePlan& a, const CudaFramePlan& b) { return a.last_use < b.last_use; }

}  // namespace

GraphKey graph_key(const FrameJob& job, const CudaTask& task) {
  const bool composite = job.options.output == Output::kComposite;
  FrameOptions options = job.options;
  options.background = {};
  if (composite) options.background.kind = task.background.kind;
  if (!composite) options.blur_sigma = 0.0f;
  options.premultiplied &= options.output == Output::kCutout;
  options.decontaminate = shows_foreground(options);
  const Size size = frame_size(job);
  return {size.width,
          size.height,
          frame_format(job),
          options,
          job.track != nullptr && job.track->stabilizes(),
          job.track != nullptr && job.track->runs_stretch(),
          job.memory,
          options.background.kind == BackgroundKind::kImage ? job.background_memory : MemoryKind::kHost,
          word_aligned(task.frame.data, task.frame.pitch_bytes) &&
              (!options.nv12 || word_aligned(task.nv12.data, task.nv12.pitch_bytes)),
          origin(task.copy_in.from, task.copy_in),
          origin(task.copy_background.from, task.copy_background),
          origin(task.copy_out.to, task.copy_out)};
}

CudaFramePlan* CudaFramePlanCache::find(const GraphKey& key) {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const CudaFramePlan& plan) { return plan.frames > 0 && plan.key == key; });
  if (found == plans_.end()) return nullptr;
  found->last_use = ++uses_;
  return &*found;
}

CudaFramePlan& CudaFramePlanCache::make(const GraphKey& key, const FramePlan& host, cudaStream_t stream) {
  plans_.reserve(kCapacity);
  CudaFramePlan& plan =
      plans_.size() < kCapacity ? plans_.emplace_back() : *std::min_element(plans_.begin(), plans_.end(), older);
  plan.frames = 0;  // not found again if something below throws
  plan.backoff = {};
  plan.graphs.clear();
  TableUpload tables({&host.to_network, &host.to_frame}, plan.tables, staging_);
  plan.to_network = add_for_preprocess(tables, host.to_network, channels(key.format));
  plan.to_frame = add_for_postprocess(tables, host.to_frame);
  tables.start(stream);
  plan.key = key;
  plan.last_use = ++uses_;
  return plan;
}

CudaFramePlan* CudaFramePlanCache::latest() {
  const auto found = std::max_element(plans_.begin(), plans_.end(), older);
  return found == plans_.end() || found->frames == 0 ? nullptr : &*found;
}

void CudaFramePlanCache::forget_graphs() {
  for (CudaFramePlan& plan : plans_) plan.graphs.clear();
}

}  // namespace rmbg
