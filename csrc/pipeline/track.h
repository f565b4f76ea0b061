// SPDX-License-Identifier: Apache-2.0
// A track: frames of one video in their order, and the state that is carried from frame to frame. Networks of several
// frames may run at once; after its network each frame takes its turn at the state. On a GPU the turn is only to put
// work on a stream; last_work() then tells when that work is done.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/buffer.h"
#include "postprocess/stabilize.h"

namespace rmbg {

/// A frame's place in its track.
struct TrackPlace {
  std::uint64_t number = 0;
  bool fresh = false;  // the first one, or the first after a reset
};

class Track {
 public:
  Track(bool stabilize, bool running_stretch) : stabilize_(stabilize), running_stretch_(running_stretch) {}

  bool stabilizes() const { return stabilize_; }
  bool runs_stretch() const { return running_stretch_; }

  /// The next place. Whoever has one ends, or those behind it wait for ever.
  TrackPlace issue();
  /// The next frame starts anew.
  void reset();
  /// Ties the track to one pipeline, for good; std::invalid_argument if it is another one's.
  void belong_to(std::uint64_t pipeline);

 private:
  friend class TrackTurn;
  void wait(std::uint64_t number);
  void pass();

  bool stabilize_, running_stretch_;
  std::mutex mutex_;
  std::condition_variable passed_;
  std::uint64_t pipeline_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t turn_ = 0;  // whose it is
  bool reset_ = true;

  // Of whoever has the turn.
  bool fresh_ = true;
  Size frame_{};
  Buffer matte_, guide_, range_;
  std::shared_ptr<void> last_work_;
};

/// A frame's turn, passed on at the latest when it ends; where that is too early, it waits. Nothing without a track.
class TrackTurn {
 public:
  TrackTurn(Track* track, const TrackPlace& place) : track_(track), place_(place) {}
  ~TrackTurn();
  TrackTurn(const TrackTurn&) = delete;
  TrackTurn& operator=(const TrackTurn&) = delete;

  explicit operator bool() const { return track_ != nullptr; }
  const Track& track() const { return *track_; }

  /// Until the frames before have had their turn.
  void wait();
  /// After wait(): makes room, and says whether nothing is carried over to this frame.
  bool begin(Size frame, std::size_t prediction_floats, std::size_t guide_bytes, MemoryKind memory);
  TemporalState state() const;
  /// What the frame before left for this one to wait for; a slot's own.
  std::shared_ptr<void>& last_work() { return track_->last_work_; }
  /// The state is whole. (A turn that ends without makes the next frame start anew, if it had begun.)
  void pass();

 private:
  Track* track_;
  TrackPlace place_;
  bool begun_ = false;
};

}  // namespace rmbg
