// SPDX-License-Identifier: Apache-2.0
// Convolutions in bf16 as tile products. A run of up to 64 neighbouring positions is multiplied for two blocks of
// outputs at a time; bias, ReLU, residual and rounding follow while the sums are in the L1 cache. On narrow maps a run
// continues into the next row through the border, whose results are dropped, so that tiles are full.
#include <algorithm>
#include <optional>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "network/cpu/centres.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"
#include "network/cpu/tile_weights.h"

namespace rmbg::cpu {
namespace {

constexpr int kGroup = 2;  // blocks of outputs that one product makes
constexpr int kRun = kMaxTiles * kTilePixels;
constexpr std::size_t kSums = std::size_t{kRun} * kGroup * kBlock;

int tiles_of(int positions) { return (positions + kTilePixels - 1) / kTilePixels; }

class TileLayer : public RowLayer {
 public:
  TileLayer(const Plan& plan, const Step& step);
  std::size_t worker_floats() const override { return 2 * kSums; }
  void run(const Activations& activations) const override;
  void run_rows(const Activations& activations, int begin, int end, float* sums) const override;

 private:
  struct Piece {
    Pixels in, out, residual, pooled;  // the last two may be empty
    float* sums;
    int first_group, last_group;
  };
  void choose_pieces();
  Piece all_of(const Activations& activations, float* sums) const;
  void run_piece(const Piece& piece, int begin, int end) const;
  void run_positions(const Piece& piece, int y, int count) const;
  AddressRange share(const Piece& piece, int group, const Pixels& pixels, int row, int first, int count) const;
  void multiply(const Piece& piece, int group, int y, int first, int count, float* sums, const FinishTask* other) const;
  FinishTask finish_task(const Piece& piece, int group, int y, int x, int count, const float* sums,
                         int positions) const;
  void finish_flat(const Piece& piece, int group, int y, int first, int count, const float* sums) const;
  void complete_rows(const Piece& piece, int begin, int end) const;

  Pixels layout_;  // of the input
  TileSteps steps_;
  std::vector<std::ptrdiff_t> offsets_;
  Groups groups_;
  OutputCentre centre_;
  int reach_;                      // rows below a pixel's that it depends on
  bool flat_;                      // runs continue from row to row
  int chunk_groups_, chunks_ = 1;  // groups of outputs a piece
  int band_rows_, bands_ = 1;      // rows a piece
  Buffer weights_;
  std::optional<Finish> finish_;
};

TileLayer::TileLayer(const Plan& plan, const Step& step)
    : RowLayer(plan, step),
      layout_(pixels_of(plan, step.inputs[0], nullptr)),
      steps_(make_tile_steps(layout_, in_.blocks(), step.node->kernel, step.node->dilation)),
      groups_{out_.blocks(), kGroup},
      centre_(plan, step),
      reach_(step.reach()) {
  const Node split = in_.split ? split_inputs(*step.node) : Node{OpKind::kConv, {}};
  const Node& node = in_.split ? split : *step.node;
  for (const TileStep& tile_step : steps_.steps) offsets_.push_back(tile_step.offset);
  const std::size_t count = steps_.steps.size() * static_cast<std::size_t>(steps_.depth * out_.blocks() * kBlock);
  reserve_huge(weights_, count * sizeof(Bf16));
  pack_tile_weights(node, steps_, groups_, weights_.as<Bf16>());
  Buffer bias;
  bias.reserve(static_cast<std::size_t>(out_.blocks()) * kBlock * sizeof(float));
  pack_centred_bias(node, in_, out_.blocks(), bias.as<float>());
  finish_.emplace(bias.as<float>(), step.relu, centre_, out_.blocks());

  const int width = in_.shape.width, pitch = width + 2 * layout_.border;
  flat_ = pitch <= (width + 31) / 32 * 32;
  choose_pieces();
}

/// Splits large weights among the pieces, so that each part is read from memory once and stays in its core's cache;
/// otherwise splits the rows.
void TileLayer::choose_pieces() {
  constexpr std::size_t kResidentBytes = std::size_t{1} << 19;  // part of the L2 cache
  const int height = in_.shape.height, wanted = kPiecesPerWorker * parallel_workers();
  const std::size_t bytes = weights_.capacity();
  if (bytes > kResidentBytes)
    chunks_ = std::min(groups_.count(), std::max(wanted, static_cast<int>(bytes / (2 * kResidentBytes)) + 1));
  chunk_groups_ = (groups_.count() + chunks_ - 1) / chunks_;
  chunks_ = (groups_.count() + chunk_groups_ - 1) / chunk_groups_;
  const int bands = std::min((wanted + chunks_ - 1) / chunks_, (height + 1) / 2);
  band_rows_ = ((height + bands - 1) / bands + 1) / 2 * 2;  // even: pooling takes pairs
  bands_ = (height + band_rows_ - 1) / band_rows_;
}

TileLayer::Piece TileLayer::all_of(const Activations& activations, float* sums) const {
  Piece piece{activations.pixels(step_.inputs[0]), activations.pixels(step_.output), {}, {}, sums, 0, groups_.count()};
  if (step_.residual >= 0) piece.residual = activations.pixels(step_.residual);
  if (step_.pooled >= 0) piece.pooled = activations.pixels(step_.pooled);
  return piece;
}

void TileLayer::run_rows(const Activations& activations, int begin, int end, float* sums) const {
  kernels().bf16.begin(steps_.depth);
  run_piece(all_of(activations, sums), begin, end);
  kernels().bf16.end();
}

void TileLayer::run(const Activations& activations) const {
  parallel_for_worker(
      static_cast<std::int64_t>(chunks_) * bands_, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
        Piece piece = all_of(activations, activations.scratch + worker_floats() * static_cast<std::size_t>(worker));
        kernels().bf16.begin(steps_.depth);
        for (std::int64_t i = begin; i < end; ++i) {
          const int chunk = static_cast<int>(i / bands_), row = static_cast<int>(i % bands_) * band_rows_;
          piece.first_group = chunk * chunk_groups_;
          piece.last_group = std::min(piece.first_group + chunk_groups_, groups_.count());
          run_piece(piece, row, std::min(row + band_rows_, in_.shape.height));
        }
        kernels().bf16.end();
      });
}

void TileLayer::run_piece(const Piece& piece, int begin, int end) const {
  const int width = in_.shape.width, border = layout_.border;
  if (flat_) {
    run_positions(piece, begin, (end - begin) * (width + 2 * border) - 2 * border);
    return complete_rows(piece, begin, end);
  }
  for (int y = begin; y < end; ++y) {
    run_positions(piece, y, width);
    complete_rows(piece, y, y + 1);
  }
}

/// Positions count from (y, 0); a row of them is a row of the input with its border. On wide maps, the sums of a
/// product are finished during the next one.
void TileLayer::run_positions(const Piece& piece, int y, int count) const {
  FinishTask last{};
  int products = 0;
  for (int first = 0; first < count; first += kRun) {
    const int positions = std::min(kRun, count - first);
    for (int group = piece.first_group; group < piece.last_group; ++group, ++products) {
      float* sums = piece.sums + products % 2 * kSums;
      multiply(piece, group, y, first, positions, sums, last.count > 0 ? &last : nullptr);
      if (flat_)
        finish_flat(piece, group, y, first, positions, sums);
      else
        last = finish_task(piece, group, y, first, positions, sums, positions);
    }
  }
  if (last.count > 0) kernels().bf16.finish(last);
}

void TileLayer::multiply(const Piece& piece, int group, int y, int first, int count, float* sums,
                         const FinishTask* other) const {
  const std::size_t block_values = offsets_.size() * static_cast<std::size_t>(steps_.depth) * kBlock;
  const Upcoming upcoming{share(piece, group, piece.in, y + 1 + reach_, first, count),
                          share(piece, group, piece.residual, y, first, count),
                          share(piece, group, piece.out, y, first, count)};
  const TileTask task{piece.in.at(y, 0) + first * layout_.pixel,
                      layout_.pixel,
                      offsets_.data(),
                      static_cast<int>(offsets_.size()),
                      steps_.depth,
                      tiles_of(count),
                      weights_.as<Bf16>() + block_values * group * kGroup,
                      groups_.size(group),
                      sums,
                      upcoming};
  kernels().bf16.multiply(task, other);
}

/// The group's share of `count` pixels of a row, which a later product or finish() reads for the first time.
AddressRange TileLayer::share(const Piece& piece, int group, const Pixels& pixels, int row, int first,
                              int count) const {
  if (flat_ || row >= pixels.height + pixels.border) return {};  // flat: the map is small
  const int groups = piece.last_group - piece.first_group, index = group - piece.first_group;
  const auto line = [&](int part) {
    return reinterpret_cast<const char*>(pixels.at(row, first) + count * part / groups * pixels.pixel);
  };
  return {line(index), line(index + 1)};
}

/// For `count` pixels of a row, which are the first of a product of `positions`.
FinishTask TileLayer::finish_task(const Piece& piece, int group, int y, int x, int count, const float* sums,
                                  int positions) const {
  const int channel = group * kGroup * kBlock;
  return {sums,
          std::ptrdiff_t{tiles_of(positions)} * kTilePixels * kBlock,
          groups_.size(group),
          count,
          finish_->bias(channel),
          finish_->floor(channel),
          step_.residual >= 0 ? piece.residual.at(y, x) + channel : nullptr,
          piece.residual.pixel,
          piece.out.at(y, x) + channel,
          piece.out.pixel};
}

/// Skips the positions in the border.
void TileLayer::finish_flat(const Piece& piece, int group, int y, int first, int count, const float* sums) const {
  const int width = in_.shape.width, pitch = width + 2 * layout_.border;
  for (int position = first; position < first + count;) {
    const int row = y + position / pitch, x = position % pitch;
    const int pixels = std::min(width - x, first + count - position);
    if (pixels > 0)
      kernels().bf16.finish(finish_task(piece, group, row, x, pixels, sums + (position - first) * kBlock, count));
    position += pixels > 0 ? pixels : pitch - x;
  }
}

/// Fills the border and pools rows while their sources are in the cache.
void TileLayer::complete_rows(const Piece& piece, int begin, int end) const {
  const int channel = piece.first_group * kGroup * kBlock, height = in_.shape.height;
  const int channels = std::min(piece.last_group * kGroup, groups_.blocks) * kBlock - channel;
  const Pixels out = piece.out.from_channel(channel);
  fill_border(out, centre_.border(channel), channels, begin, end);
  for (int y = begin; step_.pooled >= 0 && y < end; ++y) {
    if (y % 2 == 0 && y + 1 < height) continue;
    const Pixels pooled = piece.pooled.from_channel(channel);
    kernels().bf16.pool_row(out.at(y / 2 * 2, 0), out.at(y, 0), out.pixel, out.width, channels, pooled.at(y / 2, 0),
                            pooled.pixel);
    fill_border(pooled, centre_.border(channel), channels, y / 2, y / 2 + 1);
  }
}

}  // namespace

std::unique_ptr<Layer> make_tiles(const Plan& plan, const Step& step) {
  return std::make_unique<TileLayer>(plan, step);
}

}  // namespace rmbg::cpu
