// SPDX-License-Identifier: Apache-2.0
// The pipeline under ThreadSanitizer: several threads of the host at once, with frames of changing sizes in the host's
// memory and on the GPU, on tracks and without. Each result is compared with that of one thread alone.
// (A program of its own, built with -fsanitize=thread by test_cuda_stand_in.py.)
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/buffer.h"
#include "network/callback.h"
#include "pipeline/pipeline.h"

namespace {

using namespace rmbg;
using Bytes = std::vector<std::uint8_t>;

constexpr int kSide = 32, kRounds = 2, kSlots = 2;
constexpr Size kSizes[] = {{64, 48}, {33, 17}, {48, 64}, {1, 1}, {90, 20}};
std::atomic<int> failures{0};

void check(bool right, const char* what) {
  if (right) return;
  ++failures;
  std::printf("FAILED %s\n", what);
}

void ask(cudaError_t error) { check(error == cudaSuccess, cudaGetErrorString(error)); }

/// Its prediction is the first colour of its input.
std::shared_ptr<Network> make_network(bool capturable) {
  struct Tensors {
    TensorView input, output;
  };
  auto tensors = std::make_shared<Tensors>();
  NetworkSpec spec;
  spec.input = {"input", {1, 3, kSide, kSide}};
  spec.output = {"output", {1, 1, kSide, kSide}};
  const auto enqueue = [tensors](Stream stream) {
    ask(cudaMemcpyAsync(tensors->output.data, tensors->input.data, kSide * kSide * sizeof(float), cudaMemcpyDefault,
                        static_cast<cudaStream_t>(stream.handle)));
  };
  const auto bind = [tensors](const TensorView& input, const TensorView& output) { *tensors = {input, output}; };
  return std::make_shared<CallbackNetwork>(spec, bind, enqueue, capturable);
}

std::unique_ptr<Pipeline> make_pipeline() {
  PipelineOptions options;
  options.device = 0;
  std::vector<std::shared_ptr<Network>> networks;
  for (int slot = 0; slot < kSlots; ++slot) networks.push_back(make_network(slot % 2 == 0));
  return std::make_unique<Pipeline>(std::move(networks), options);
}

struct Frame {
  Bytes pixels, result;
  FrameJob job;

  /// The `number`-th frame of `thread`.
  Frame(int thread, int number) {
    const Size size = kSizes[(thread + number) % (sizeof(kSizes) / sizeof(*kSizes))];
    pixels.resize(static_cast<std::size_t>(size.width) * size.height * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(thread * 31 + number * 5)) % 251);
    result.resize(static_cast<std::size_t>(size.width) * size.height * 4);
    job.frame = {pixels.data(), size.width, size.height, size.width * std::ptrdiff_t{3}, PixelFormat::kBgr8};
    job.result = {result.data(), size.width, size.height, size.width * std::ptrdiff_t{4}, PixelFormat::kBgra8};
    job.options.output = Output::kCutout;
    job.options.refine = number % 3 == 1;
    job.options.decontaminate = number % 3 == 2;
  }
};

/// Runs a frame whose memory is the GPU's, on a stream of the caller.
void run_on_gpu(Pipeline& pipeline, Frame& frame, cudaStream_t stream) {
  void* pixels = nullptr;
  ask(cudaMalloc(&pixels, frame.pixels.size()));
  ask(cudaMemcpyAsync(pixels, frame.pixels.data(), frame.pixels.size(), cudaMemcpyDefault, stream));
  const Stream ours{stream};
  const std::shared_ptr<ResultMemory> result = pipeline.results()->take(frame.result.size(), ours);
  FrameJob job = frame.job;
  job.memory = MemoryKind::kDevice;
  job.stream = ours;
  job.frame.data = static_cast<const std::uint8_t*>(pixels);
  job.result.data = static_cast<std::uint8_t*>(result->data());
  pipeline.run(job);
  result->written_on(ours);
  result->to_host(frame.result.data(), frame.result.size());
  ask(cudaStreamSynchronize(stream));
  ask(cudaFree(pixels));
}

/// The frames of a thread, in the way that is the thread's.
std::vector<Bytes> run_frames(Pipeline& pipeline, int thread) {
  std::vector<Bytes> results;
  Track track(true, true);
  cudaStream_t stream = nullptr;
  ask(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (int number = 0; number < kRounds * 5; ++number) {
    Frame frame(thread, number);
    if (thread % 2 == 1) frame.job.track = &track;
    if (thread % 4 == 0) {
      pipeline.run(frame.job);
    } else if (thread % 4 == 1) {
      const auto completion = pipeline.submit(frame.job, nullptr);
      check(completion->wait(-1), "a submitted frame ends");
      completion->rethrow();
    } else {
      run_on_gpu(pipeline, frame, stream);
    }
    results.push_back(frame.result);
  }
  ask(cudaStreamDestroy(stream));
  return results;
}

/// Asks for what a monitoring thread would, until told to stop.
void watch(Pipeline& pipeline, const std::atomic<bool>& stop) {
  while (!stop) {
    pipeline.recent_times();
    check(pipeline.modes().size() == kSlots, "each slot has a mode");
    pipeline.measure(1);
    check(pipeline.frames() >= 0, "frames are counted");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void compare_with_one_thread() {
  constexpr int kThreads = 5;
  std::vector<std::vector<Bytes>> expected, got(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) expected.push_back(run_frames(*make_pipeline(), thread));
  const auto pipeline = make_pipeline();
  std::atomic<bool> stop{false};
  std::thread watcher([&] { watch(*pipeline, stop); });
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] { got[thread] = run_frames(*pipeline, thread); });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  watcher.join();
  check(got == expected, "threads at once get what each gets alone");
  check(pipeline->frames() == kThreads * kRounds * 5, "all frames were run");
  std::printf("ok  %lld frames of %d threads\n", static_cast<long long>(pipeline->frames()), kThreads);
}

/// A pipeline that is closed while threads use it: each frame ends well, or is refused.
void close_meanwhile() {
  const auto pipeline = make_pipeline();
  std::atomic<int> begun{0};
  const auto work = [&](int thread) {
    try {
      for (int number = 0;; ++number) {
        Frame frame(thread, number);
        ++begun;
        pipeline->run(frame.job);
      }
    } catch (const std::exception& error) {
      check(std::strstr(error.what(), "closed") != nullptr, error.what());
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) threads.emplace_back(work, thread);
  while (begun < 9) std::this_thread::yield();
  pipeline->close();
  for (std::thread& thread : threads) thread.join();
  std::printf("ok  closed meanwhile\n");
}

/// What ThreadSanitizer is to find, to show that it is at work.
void race() {
  static int counter = 0;
  std::thread other([] { ++counter; });
  ++counter;
  other.join();
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (count == 2 && std::string(arguments[1]) == "race") {
    race();
    return 0;
  }
  compare_with_one_thread();
  close_meanwhile();
  return failures == 0 ? 0 : 1;
}
