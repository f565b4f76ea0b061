// SPDX-License-Identifier: Apache-2.0
// A track: the frames of one video in order, and the state carried from frame to frame. Networks of several frames may
// run at once; after its network, each frame takes its turn to update the state. On a GPU a turn only puts work on a
// stream, and last_work() tells when that work is done.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/buffer.h"
#include "core/fork.h"
#include "postprocess/stabilize.h"

namespace rmbg {

/// A frame's place in its track.
struct TrackPlace {
  std::uint64_t number = 0;
  bool fresh = false;  // the first one, or the first after a reset
};

class Track final : public ForkAware {
 public:
  Track(bool stabilize, bool running_stretch) : stabilize_(stabilize), running_stretch_(running_stretch) {
    watch_forks();
  }
  ~Track() { ignore_forks(); }

  bool stabilizes() const { return stabilize_; }
  bool runs_stretch() const { return running_stretch_; }

  /// The next place. Its TrackTurn must end, or later frames wait forever.
  TrackPlace issue();
  /// The next frame starts afresh.
  void reset();
  /// Binds the track to a pipeline. Throws std::invalid_argument if it belongs to another one.
  void belong_to(std::uint64_t pipeline);

 private:
  friend class TrackTurn;
  void after_fork_in_child() override;
  void wait(std::uint64_t number);
  void pass();

  bool stabilize_, running_stretch_;
  std::mutex mutex_;
  std::condition_variable passed_;
  std::uint64_t pipeline_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t turn_ = 0;  // the place that has the turn
  bool reset_ = true;

  // For the frame that has the turn:
  bool fresh_ = true;
  Size frame_{};
  Buffer matte_, guide_, range_;
  std::shared_ptr<void> last_work_;
};

/// A frame's turn, passed on by its destructor at the latest, which waits for the turn first. Does nothing without a
/// track.
class TrackTurn {
 public:
  TrackTurn(Track* track, const TrackPlace& place) : track_(track), place_(place) {}
  ~TrackTurn();
  TrackTurn(const TrackTurn&) = delete;
  TrackTurn& operator=(const TrackTurn&) = delete;

  explicit operator bool() const { return track_ != nullptr; }
  const Track& track() const { return *track_; }

  /// Waits until the previous frames have had their turn.
  void wait();
  /// After wait(): reserves the state. Returns true if nothing is carried over to this frame.
  bool begin(Size frame, std::size_t prediction_floats, std::size_t guide_bytes, MemoryKind memory);
  TemporalState state() const;
  /// What the previous frame's slot left for this one to wait for.
  std::shared_ptr<void>& last_work() { return track_->last_work_; }
  /// The state is complete. Without this call, a turn that had begun makes the next frame start afresh.
  void pass();

 private:
  Track* track_;
  TrackPlace place_;
  bool begun_ = false;
};

}  // namespace rmbg
