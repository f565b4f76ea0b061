// SPDX-License-Identifier: Apache-2.0
#include "pipeline/result_pool.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/cuda_check.h"
#include "core/cuda_stream.h"

namespace rmbg {
namespace {

constexpr std::size_t kKept = 64;  // blocks that wait to be used again; more are freed

cudaStream_t stream_of(std::uintptr_t handle) { return reinterpret_cast<cudaStream_t>(handle); }
std::uintptr_t handle_of(cudaStream_t stream) {
  // 0 means the legacy default stream to CUDA, and nothing at all to other libraries.
  return stream == nullptr ? 1 : reinterpret_cast<std::uintptr_t>(stream);
}

/// A block of memory and the streams that used it.
struct Block {
  Buffer memory{MemoryKind::kDevice};
  CudaEvent written;
  std::uintptr_t writer = 0;
  std::vector<StreamKey> users;
  std::vector<CudaEvent> left;  // one per user, recorded when the block was given back
};

class Pool : public ResultPool, public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(int device) : device_(device) {}
  ~Pool() override {
    try {
      const DeviceScope scope(device_);
      free_.clear();
    } catch (const CudaError&) {  // the driver is gone
    }
  }

  std::shared_ptr<ResultMemory> take(std::size_t bytes, Stream stream) override;
  int device() const { return device_; }
  void give_back(std::unique_ptr<Block> block) noexcept;

 private:
  std::unique_ptr<Block> smallest_with(std::size_t bytes);

  const int device_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Block>> free_;
};

/// A block in a caller's hands.
class PooledMemory : public ResultMemory {
 public:
  PooledMemory(std::shared_ptr<Pool> pool, std::unique_ptr<Block> block)
      : pool_(std::move(pool)), block_(std::move(block)) {}
  ~PooledMemory() override { pool_->give_back(std::move(block_)); }

  void* data() const override { return block_->memory.as<void>(); }
  int device() const override { return pool_->device(); }
  std::uintptr_t stream() const override { return block_->writer; }

  void written_on(Stream stream) override {
    const DeviceScope scope(device());
    block_->written.record(cuda_stream(stream));
    block_->writer = handle_of(cuda_stream(stream));
  }

  void make_wait(std::uintptr_t stream) override {
    if (block_->writer == 0) return;  // equal handles may be different streams: 2 is, in another thread
    const DeviceScope scope(device());
    block_->written.make_wait(stream_of(stream));
  }

  void used_on(std::uintptr_t stream) override {
    const std::lock_guard lock(mutex_);
    const StreamKey user = stream_key(stream);
    auto& users = block_->users;
    if (std::find(users.begin(), users.end(), user) == users.end()) users.push_back(user);
  }

  void to_host(void* to, std::size_t bytes) override {
    {
      const DeviceScope scope(device());
      const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
      check(cudaEventSynchronize(block_->written.get()), "waiting for a result");
    }
    copy_to_host(to, data(), bytes);
  }

 private:
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Block> block_;
  std::mutex mutex_;
};

std::unique_ptr<Block> Pool::smallest_with(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it)
    if ((*it)->memory.capacity() >= bytes &&
        (best == free_.end() || (*it)->memory.capacity() < (*best)->memory.capacity()))
      best = it;
  // Keep a far larger block for larger frames.
  if (best == free_.end() || (*best)->memory.capacity() > 4 * bytes) return std::make_unique<Block>();
  std::unique_ptr<Block> found = std::move(*best);
  free_.erase(best);
  return found;
}

std::shared_ptr<ResultMemory> Pool::take(std::size_t bytes, Stream stream) {
  const DeviceScope scope(device_);
  std::unique_ptr<Block> block = smallest_with(bytes);
  block->memory.reserve(bytes);
  if (block->writer != 0) block->written.make_wait(cuda_stream(stream));
  for (const CudaEvent& event : block->left) event.make_wait(cuda_stream(stream));
  block->left.clear();
  return std::make_shared<PooledMemory>(shared_from_this(), std::move(block));
}

void Pool::give_back(std::unique_ptr<Block> block) noexcept {
  try {
    const DeviceScope scope(device_);
    const CaptureModeScope relaxed;
    for (const StreamKey& user : block->users) {
      if (user != stream_key(user.handle)) {  // another thread's default stream, out of reach from here
        check(cudaDeviceSynchronize(), "waiting for the GPU");
        continue;
      }
      CudaEvent event;
      event.record(stream_of(user.handle));
      block->left.push_back(std::move(event));
    }
    block->users.clear();
    const std::lock_guard lock(mutex_);
    if (free_.size() == kKept) free_.erase(free_.begin());
    free_.push_back(std::move(block));
  } catch (...) {  // the driver or a stream is gone: the block is freed, which waits for all work
  }
}

}  // namespace

std::shared_ptr<ResultPool> make_result_pool(int device) { return std::make_shared<Pool>(device); }

}  // namespace rmbg
