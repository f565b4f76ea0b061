// SPDX-License-Identifier: Apache-2.0
// Counts every operator new while frames run: after warm-up the pipeline may not allocate at all. Built and run by
// test_allocation.py. The network is a fake that fills its output, so only the pipeline is on trial.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "pipeline/pipeline.h"

namespace {

std::atomic<long> g_news{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  g_news.fetch_add(1, std::memory_order_relaxed);
  void* block = nullptr;
  if (posix_memalign(&block, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes > 0 ? bytes : 1) != 0)
    throw std::bad_alloc();
  return block;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

namespace {

using rmbg::Output;
using rmbg::PixelFormat;

constexpr int kSide = 48;

/// Makes callers wait for each other, so that every slot gets its share of the warm-up.
class Meeting {
 public:
  void expect(int count) { expected_ = count; }
  void meet() {
    std::unique_lock lock(mutex_);
    if (expected_ < 2) return;
    const int round = round_;
    if (++here_ == expected_) {
      here_ = 0;
      ++round_;
      all_here_.notify_all();
    } else {
      all_here_.wait(lock, [&] { return round_ != round; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  int expected_ = 0, here_ = 0, round_ = 0;
};

class FakeNetwork : public rmbg::Network {
 public:
  explicit FakeNetwork(Meeting& meeting) : meeting_(meeting) {
    spec_.input = {"input", {1, 3, kSide, kSide}};
    spec_.output = {"output", {1, 1, kSide, kSide}};
  }
  const rmbg::NetworkSpec& spec() const override { return spec_; }
  void bind(const rmbg::TensorView&, const rmbg::TensorView& output) override {
    output_ = static_cast<float*>(output.data);
  }
  void enqueue(rmbg::Stream) override {
    meeting_.meet();
    for (int i = 0; i < kSide * kSide; ++i) output_[i] = static_cast<float>(i);
  }
  bool capturable() const override { return false; }

 private:
  Meeting& meeting_;
  rmbg::NetworkSpec spec_;
  float* output_ = nullptr;
};

/// A job with memory of its own.
struct Work {
  std::vector<std::uint8_t> frame, result, background;
  rmbg::FrameJob job;

  Work(int width, int height, PixelFormat format, Output output, float blur_sigma) {
    const int in = rmbg::channels(format), out = rmbg::output_channels(output);
    frame.assign(static_cast<std::size_t>(width) * height * in, 90);
    result.assign(static_cast<std::size_t>(width) * height * out, 0);
    background.assign(static_cast<std::size_t>(width) * height * 3, 200);
    const PixelFormat result_format = out == 1   ? PixelFormat::kGray8
                                      : out == 3 ? PixelFormat::kBgr8
                                                 : PixelFormat::kBgra8;
    job.frame = {frame.data(), width, height, static_cast<std::ptrdiff_t>(width) * in, format};
    job.result = {result.data(), width, height, static_cast<std::ptrdiff_t>(width) * out, result_format};
    job.options.output = output;
    job.options.blur_sigma = blur_sigma;
    job.options.background.kind = rmbg::BackgroundKind::kImage;
    job.options.background.image = {background.data(), width, height, static_cast<std::ptrdiff_t>(width) * 3,
                                    PixelFormat::kBgr8};
  }
};

std::vector<Work> all_work(int sizes) {
  constexpr int kSizes[10][2] = {{64, 48},   {48, 64}, {33, 101}, {101, 33}, {320, 240},
                                 {240, 320}, {1, 1},   {500, 20}, {20, 500}, {48, 48}};
  std::vector<Work> work;
  for (int i = 0; i < sizes; ++i)
    for (const PixelFormat format : {PixelFormat::kGray8, PixelFormat::kBgr8, PixelFormat::kBgra8}) {
      const int width = kSizes[i][0], height = kSizes[i][1];
      work.emplace_back(width, height, format, Output::kAlpha, 0.0f);
      work.emplace_back(width, height, format, Output::kCutout, 0.0f);
      work.emplace_back(width, height, format, Output::kComposite, 0.0f);
      work.emplace_back(width, height, format, Output::kComposite, 2.5f);
    }
  return work;
}

int g_failures = 0;

void expect(const char* what, int frames, long news, long allowed) {
  const bool good = news == allowed;
  std::printf("%s %s: %d frames, %ld allocations, expected %ld\n", good ? "ok  " : "FAIL", what, frames, news, allowed);
  g_failures += good ? 0 : 1;
}

void one_thread(const char* what, int sizes, int warm_up_rounds) {
  Meeting meeting;
  std::vector<Work> work = all_work(sizes);
  rmbg::Pipeline pipeline({std::make_shared<FakeNetwork>(meeting)}, {});
  const auto round = [&] {
    for (Work& each : work) pipeline.run(each.job);
    return static_cast<int>(work.size());
  };
  const long cold = g_news;
  for (int i = 0; i < warm_up_rounds; ++i) round();
  if (g_news == cold) expect("the counter counts", 0, 0, -1);
  const long warm = g_news;
  int frames = 0;
  while (frames < 400) frames += round();
  expect(what, frames, g_news - warm, 0);
}

void two_threads() {
  Meeting meeting, start;
  std::vector<Work> work[2] = {all_work(6), all_work(6)};
  rmbg::Pipeline pipeline({std::make_shared<FakeNetwork>(meeting), std::make_shared<FakeNetwork>(meeting)}, {});
  std::atomic<long> warm{0}, end{0};
  std::atomic<int> frames{0};
  meeting.expect(2);  // both slots are busy with the same kind of job: each sees every kind
  start.expect(2);
  const auto run = [&](int me) {
    for (Work& each : work[me]) pipeline.run(each.job);
    start.meet();
    if (me == 0) {
      meeting.expect(0);
      warm = g_news.load();
    }
    start.meet();
    for (int i = 0; i < 4; ++i)
      for (Work& each : work[me]) {
        pipeline.run(each.job);
        ++frames;
      }
    start.meet();
    if (me == 0) end = g_news.load();
    start.meet();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  expect("two threads, two slots", frames, end - warm, 0);
}

/// A submitted frame has a Completion that whoever waits shares: the one allocation there is.
void submitted() {
  Meeting meeting;
  std::vector<Work> work = all_work(6);
  rmbg::Pipeline pipeline({std::make_shared<FakeNetwork>(meeting)}, {});
  const auto round = [&] {
    for (Work& each : work) pipeline.submit(each.job, nullptr)->wait(-1);
    return static_cast<int>(work.size());
  };
  round();
  const long warm = g_news;
  int frames = 0;
  while (frames < 400) frames += round();
  expect("submit, one ticket a frame", frames, g_news - warm, frames);
}

}  // namespace

int main() {
  one_thread("six sizes", 6, 1);
  // Ten sizes share eight plans in turn; after a few rounds every plan has seen its largest.
  one_thread("more sizes than plans", 10, 6);
  two_threads();
  submitted();
  return g_failures == 0 ? 0 : 1;
}
