// SPDX-License-Identifier: Apache-2.0
#include "pipeline/track.h"

#include <stdexcept>

namespace rmbg {

TrackPlace Track::issue() {
  const std::lock_guard lock(mutex_);
  const TrackPlace place{issued_++, reset_};
  reset_ = false;
  return place;
}

void Track::reset() {
  const std::lock_guard lock(mutex_);
  reset_ = true;
}

void Track::belong_to(std::uint64_t pipeline) {
  const std::lock_guard lock(mutex_);
  if (pipeline_ == 0) pipeline_ = pipeline;
  if (pipeline_ != pipeline)
    throw std::invalid_argument("the track belongs to another engine; create one for this engine");
}

void Track::wait(std::uint64_t number) {
  std::unique_lock lock(mutex_);
  passed_.wait(lock, [&] { return turn_ == number; });
}

void Track::pass() {
  const std::lock_guard lock(mutex_);
  ++turn_;
  passed_.notify_all();
}

/// The frames in flight are the parent's; without them the state may not be whole.
void Track::after_fork_in_child() {
  renew(mutex_);
  renew(passed_);
  reset_ |= turn_ != issued_;
  turn_ = issued_;
}

TrackTurn::~TrackTurn() {
  if (track_ == nullptr) return;
  wait();
  track_->fresh_ |= place_.fresh || begun_;
  track_->pass();
}

void TrackTurn::wait() {
  if (track_ != nullptr) track_->wait(place_.number);
}

bool TrackTurn::begin(Size frame, std::size_t prediction_floats, std::size_t guide_bytes, MemoryKind memory) {
  Track& track = *track_;
  if (track.matte_.kind() != memory) {
    track.matte_ = Buffer(memory);
    track.guide_ = Buffer(memory);
    track.range_ = Buffer(memory);
  }
  begun_ = true;
  bool first = track.fresh_ || place_.fresh;
  first |= frame.width != track.frame_.width || frame.height != track.frame_.height;
  first |= track.matte_.reserve(prediction_floats * sizeof(float));
  first |= track.guide_.reserve(guide_bytes);
  first |= track.range_.reserve(sizeof(MinMax));
  track.frame_ = frame;
  return first;
}

TemporalState TrackTurn::state() const {
  return {track_->matte_.as<float>(), track_->guide_.as<std::uint8_t>(), track_->range_.as<MinMax>()};
}

void TrackTurn::pass() {
  if (track_ == nullptr) return;
  track_->fresh_ = false;
  track_->pass();
  track_ = nullptr;
}

}  // namespace rmbg
