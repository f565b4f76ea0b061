// SPDX-License-Identifier: Apache-2.0
// Copies GPU memory to pageable host memory: while the GPU fills one chunk of pinned memory, the CPU empties the other.
// Each GPU keeps one stream and two chunks. (CUDA does the same, but with one core and on a stream that waits for
// others.)
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "core/buffer.h"
#include "core/cuda_pointer.h"
#include "core/cuda_stream.h"
#include "core/thread_pool.h"

namespace rmbg {
namespace {

constexpr std::size_t kChunk = std::size_t{2} << 20;
constexpr std::int64_t kPiece = 256 << 10;  // bytes a core copies at a time
constexpr int kDevices = 64;

void copy_on_all_cores(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
  parallel_for(static_cast<std::int64_t>(bytes), kPiece, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
  });
}

/// For the GPU that is current when it is created.
class Downloader {
 public:
  void copy(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    const auto size_at = [bytes](std::size_t at) { return std::min(kChunk, bytes - at); };
    try {
      for (std::size_t at = 0, next = 0; at < bytes; at += kChunk) {
        for (; next < bytes && next <= at + kChunk; next += kChunk) fill(chunk_at(next), from + next, size_at(next));
        check(cudaEventSynchronize(chunk_at(at).filled.get()), "waiting for a copy to the host");
        copy_on_all_cores(to + at, chunk_at(at).memory.as<std::uint8_t>(), size_at(at));
      }
    } catch (...) {
      cudaStreamSynchronize(stream_.get());  // the next copy uses the same chunks
      cudaGetLastError();
      throw;
    }
  }

 private:
  struct Chunk {
    Buffer memory{kChunk, MemoryKind::kPinned};
    CudaEvent filled;
  };

  Chunk& chunk_at(std::size_t at) { return chunks_[at / kChunk % 2]; }
  void fill(Chunk& chunk, const std::uint8_t* from, std::size_t bytes) {
    check(cudaMemcpyAsync(chunk.memory.as<void>(), from, bytes, cudaMemcpyDefault, stream_.get()),
          "copying to the host");
    chunk.filled.record(stream_.get());
  }

  CudaStream stream_;
  Chunk chunks_[2];
};

struct SharedDownloader {
  std::mutex mutex;
  std::unique_ptr<Downloader> downloader;  // created at first use
};

/// Never destroyed: the driver may shut down earlier at the end of the process.
SharedDownloader& downloader_of(int device) {
  static auto* const all = new SharedDownloader[kDevices];
  if (device < 0 || device >= kDevices) throw std::invalid_argument("copying to the host: expected memory of a GPU");
  return all[device];
}

}  // namespace

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const int device = device_of(from);
  SharedDownloader& shared = downloader_of(device);
  const DeviceScope scope(device);
  // Not relaxed: a network that reads results while it is recorded must fail.
  const CaptureModeScope others_ignored(cudaStreamCaptureModeThreadLocal);
  const std::lock_guard lock(shared.mutex);
  if (shared.downloader == nullptr) shared.downloader = std::make_unique<Downloader>();
  shared.downloader->copy(static_cast<std::uint8_t*>(to), static_cast<const std::uint8_t*>(from), bytes);
}

}  // namespace rmbg
