// SPDX-License-Identifier: Apache-2.0
// Streams keep their work until something waits for it, so that reading a result without waiting gives wrong bytes
// every time. Events mark points in a stream's work.
#pragma once

#include <chrono>
#include <deque>
#include <memory>

#include "cuda_types.h"
#include "runtime/work.h"

namespace stand_in {

struct Capture;

/// A point in a stream's work: reached once everything before it is done.
struct Mark {
  explicit Mark(CUstream_st* stream) : stream(stream) {}
  CUstream_st* stream;  // not to be used once reached
  bool reached = false;
  std::chrono::steady_clock::time_point time;
};

class MarkWork : public Work {
 public:
  explicit MarkWork(std::shared_ptr<Mark> mark) : mark_(std::move(mark)) {}
  void run() const override;
  void skip() const override { run(); }  // or waiting for it would never end

 private:
  std::shared_ptr<Mark> mark_;
};

/// Does all work before a mark, of whatever stream.
class WaitWork : public Work {
 public:
  explicit WaitWork(std::shared_ptr<Mark> mark) : mark_(std::move(mark)) {}
  void run() const override;

 private:
  std::shared_ptr<Mark> mark_;
};

}  // namespace stand_in

struct CUstream_st {
  explicit CUstream_st(int device);
  ~CUstream_st();

  int device;
  long number;  // in the order in which they were made
  std::deque<stand_in::WorkPointer> queue;
  std::unique_ptr<stand_in::Capture> capture;  // while it is recorded
  bool asked = false;                          // a query found pending work
};

struct CUevent_st {
  int device;
  bool timing;
  std::shared_ptr<stand_in::Mark> mark{};  // of the latest record
  unsigned long captured_by = 0;           // the capture it was last recorded in; 0: in none
  bool asked = false;
};

namespace stand_in {

/// The stream of a handle, default streams of the current device included; nullptr for a handle of nothing.
CUstream_st* find_stream(cudaStream_t handle);

/// Puts work on a stream or into what it records. No work (nullptr) is fine.
cudaError_t submit(CUstream_st& stream, WorkPointer work);
/// A mark behind all work of the stream so far. Not while it is recorded.
std::shared_ptr<Mark> mark_end(CUstream_st& stream);

/// In the random schedule: does some work of one stream, or none. After each call of the runtime.
void go_on_at_random();

// Waiting.
void finish(CUstream_st& stream);
void finish(const std::shared_ptr<Mark>& mark);
void finish_device(int device);
void finish_all();

}  // namespace stand_in
