// SPDX-License-Identifier: Apache-2.0
#include "runtime/stream.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>
#include <vector>

#include "runtime/call.h"
#include "runtime/capture.h"
#include "runtime/device.h"
#include "runtime/handles.h"
#include "runtime/memory.h"
#include "runtime/settings.h"

namespace stand_in {
namespace {

/// The legacy stream (0) and that of each thread, of each device: they are there without being made, and stay.
std::map<std::pair<int, long>, std::unique_ptr<CUstream_st>>& default_streams() {
  static auto* const all = new std::map<std::pair<int, long>, std::unique_ptr<CUstream_st>>;
  return *all;
}

/// From 1; never given twice, other than the ids of threads.
long number_of_thread() {
  static std::atomic<long> latest{0};
  thread_local const long number = ++latest;
  return number;
}

void do_one(CUstream_st& stream) {
  const WorkPointer work = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (lost() == cudaSuccess) {
    work->run();
  } else {
    work->skip();
  }
}

/// Does a stream's work in order, up to a mark or to its end. Work may wait for a mark of another stream; that mark is
/// older than the wait, so this comes to an end.
void do_work(CUstream_st& stream, const Mark* mark) {
  while (!stream.queue.empty() && (mark == nullptr || !mark->reached)) do_one(stream);
}

template <typename F>
void for_each_stream(F&& f) {
  live<CUstream_st>().for_each(f);
  for (auto& entry : default_streams()) f(*entry.second);
}

}  // namespace

void MarkWork::run() const {
  mark_->time = std::chrono::steady_clock::now();
  mark_->reached = true;
}

void WaitWork::run() const {
  if (!mark_->reached) do_work(*mark_->stream, mark_.get());
}

CUstream_st* find_stream(cudaStream_t handle) {
  if (handle != nullptr && handle != cudaStreamLegacy && handle != cudaStreamPerThread)
    return live<CUstream_st>().has(handle) ? handle : nullptr;
  auto& stream = default_streams()[{current_device(), handle == cudaStreamPerThread ? number_of_thread() : 0}];
  if (stream == nullptr) stream = std::make_unique<CUstream_st>(current_device());
  return stream.get();
}

cudaError_t submit(CUstream_st& stream, WorkPointer work) {
  if (stream.capture != nullptr) return stream.capture->record(std::move(work));
  if (work == nullptr) return cudaSuccess;
  stream.queue.push_back(std::move(work));
  if (schedule() == Schedule::kEager) finish(stream);
  return cudaSuccess;
}

std::shared_ptr<Mark> mark_end(CUstream_st& stream) {
  auto mark = std::make_shared<Mark>(&stream);
  submit(stream, std::make_shared<MarkWork>(mark));
  return mark;
}

void go_on_at_random() {
  if (schedule() != Schedule::kRandom) return;
  if (random_below(2) == 0) return;  // or nothing would ever be late
  std::vector<CUstream_st*> busy;
  for_each_stream([&busy](CUstream_st& stream) {
    if (!stream.queue.empty()) busy.push_back(&stream);
  });
  if (busy.empty()) return;
  std::sort(busy.begin(), busy.end(), [](const auto* a, const auto* b) { return a->number < b->number; });
  CUstream_st& stream = *busy[random_below(busy.size())];
  for (std::size_t pieces = 1 + random_below(4); pieces > 0 && !stream.queue.empty(); --pieces) do_one(stream);
  memory().conceal();
}

void finish(CUstream_st& stream) {
  do_work(stream, nullptr);
  stream.asked = false;
  memory().conceal();
}

void finish(const std::shared_ptr<Mark>& mark) {
  if (mark != nullptr && !mark->reached) do_work(*mark->stream, mark.get());
  memory().conceal();
}

void finish_device(int device) {
  for_each_stream([device](CUstream_st& stream) {
    if (stream.device == device) do_work(stream, nullptr);
  });
  memory().conceal();
}

void finish_all() {
  for_each_stream([](CUstream_st& stream) { do_work(stream, nullptr); });
  memory().conceal();
}

}  // namespace stand_in

CUstream_st::CUstream_st(int device) : device(device) {
  static long latest = 0;  // one call of the runtime at a time
  number = ++latest;
}
CUstream_st::~CUstream_st() = default;
