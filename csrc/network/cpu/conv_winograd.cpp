// SPDX-License-Identifier: Apache-2.0
// Winograd convolutions. Two schedules. Blocked: a worker takes a run of tiles through all three phases while their
// V and M stay in its L2 cache. Staged: on small maps with large weights each phase runs over all tiles and all
// workers, so that every weight is read from memory once.
#include <algorithm>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "network/cpu/kernels.h"
#include "network/cpu/layer.h"

namespace rmbg::cpu {
namespace {

constexpr int kMaxBlocks = 512;  // of input channels; offsets are a table on the stack

// G of F(m, 3) for m = 2, 4, 6; the data side is in winograd_tile.h.
using Row = double[3];

constexpr Row kG2[] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr Row kG4[] = {{1. / 4, 0, 0},
                       {-1. / 6, -1. / 6, -1. / 6},
                       {-1. / 6, 1. / 6, -1. / 6},
                       {1. / 24, 1. / 12, 1. / 6},
                       {1. / 24, -1. / 12, 1. / 6},
                       {0, 0, 1}};
constexpr Row kG6[] = {{1, 0, 0},
                       {-2. / 9, -2. / 9, -2. / 9},
                       {-2. / 9, 2. / 9, -2. / 9},
                       {1. / 90, 1. / 45, 2. / 45},
                       {1. / 90, -1. / 45, 2. / 45},
                       {32. / 45, 16. / 45, 8. / 45},
                       {32. / 45, -16. / 45, 8. / 45},
                       {0, 0, 1}};

/// out[x * size + y] = (G g G^T)[y][x]: column by column, as the kernels number frequencies.
void transform(const Row* g_rows, int size, const float* g, double* out) {
  double half[8][3];
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < 3; ++x) half[y][x] = g_rows[y][0] * g[x] + g_rows[y][1] * g[3 + x] + g_rows[y][2] * g[6 + x];
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x)
      out[x * size + y] = half[y][0] * g_rows[x][0] + half[y][1] * g_rows[x][1] + half[y][2] * g_rows[x][2];
}

/// Packs G g G^T, computed in double, to [group][frequency][input channel, padded][group's output channels] floats.
void pack_winograd_weights(const Node& node, int m, int cin_blocks, Groups groups, float* out) {
  const Row* g_rows = m == 2 ? kG2 : m == 4 ? kG4 : kG6;
  const int size = m + 2, frequencies = size * size;
  const int cout = static_cast<int>(node.bias.size());
  const int cin = static_cast<int>(node.weights.size()) / (9 * cout), padded = cin_blocks * kBlock;
  parallel_for(groups.count(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (int group = static_cast<int>(begin); group < end; ++group) {
      const int width = groups.size(group) * kBlock;
      float* base = out + static_cast<std::size_t>(group) * groups.group * kBlock * frequencies * padded;
      for (int i = 0; i < padded; ++i) {
        for (int j = 0; j < width; ++j) {
          const int o = group * groups.group * kBlock + j;
          double u[64] = {};
          if (i < cin && o < cout)
            transform(g_rows, size, node.weights.data() + (static_cast<std::size_t>(o) * cin + i) * 9, u);
          for (int f = 0; f < frequencies; ++f)
            base[(static_cast<std::size_t>(f) * padded + i) * width + j] = static_cast<float>(u[f]);
        }
      }
    }
  });
}

class WinogradLayer : public Layer {
 public:
  WinogradLayer(const Plan& plan, const Step& step);
  std::size_t scratch_floats() const override;
  void run(const Activations& activations) const override;

 private:
  WinogradTask task(const Activations& activations) const;
  WinogradStrides strides(int blocks, int tiles) const {
    // One cache line more than needed, so that a tile's frequencies do not compete for one cache set.
    const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(tiles) * kBlock;
    return {block * blocks + kBlock, block};
  }
  const float* weights(int group, int frequency) const {
    const std::size_t depth = static_cast<std::size_t>(in_.blocks()) * kBlock;
    return weights_.as<float>() + static_cast<std::size_t>(group) * groups_.group * kBlock * frequencies_ * depth +
           static_cast<std::size_t>(frequency) * depth * groups_.size(group) * kBlock;
  }
  void multiply(const float* v, int tiles, std::ptrdiff_t v_block, int group, int frequency, float* m,
                std::ptrdiff_t m_block) const;
  void run_blocked(const WinogradTask& task, float* scratch) const;
  void run_block(const WinogradTask& task, std::int64_t first, int tiles, float* scratch) const;
  void run_staged(const WinogradTask& task, float* scratch) const;

  int dilation_;
  const WinogradKernels& kernels_;
  int frequencies_;
  Groups groups_;
  int tiles_y_, tiles_x_;
  std::int64_t tiles_;
  int run_tiles_;  // tiles per block, or per stage
  bool staged_;
  Buffer weights_, bias_;
};

const WinogradKernels& kernels_of(ConvMethod method) { return kernels().winograd[static_cast<int>(method)]; }

WinogradLayer::WinogradLayer(const Plan& plan, const Step& step)
    : Layer(plan, step),
      dilation_(step.node->dilation),
      kernels_(kernels_of(step.method)),
      frequencies_((kernels_.tile + 2) * (kernels_.tile + 2)),
      groups_{out_.blocks(), kernels().group} {
  const auto tiles = [&](int size) { return ((size + dilation_ - 1) / dilation_ + kernels_.tile - 1) / kernels_.tile; };
  tiles_y_ = tiles(in_.shape.height);
  tiles_x_ = tiles(in_.shape.width);
  tiles_ = static_cast<std::int64_t>(tiles_y_) * tiles_x_ * dilation_ * dilation_;

  const std::size_t count = static_cast<std::size_t>(frequencies_) * in_.blocks() * kBlock * out_.blocks() * kBlock;
  reserve_huge(weights_, count * sizeof(float));
  pack_winograd_weights(*step.node, kernels_.tile, in_.blocks(), groups_, weights_.as<float>());
  bias_.reserve(static_cast<std::size_t>(out_.blocks()) * kBlock * sizeof(float));
  pack_bias(*step.node, out_.blocks(), bias_.as<float>());

  constexpr std::size_t kResidentFloats = std::size_t{5} << 18;  // 5 MB: more would be reloaded for every block
  staged_ = count > kResidentFloats || tiles_ < 28 * parallel_workers();
  const int wanted = in_.blocks() >= 8 ? 14 : 28;
  run_tiles_ = static_cast<int>(std::min<std::int64_t>(tiles_, staged_ ? 224 : wanted));
}

std::size_t WinogradLayer::scratch_floats() const {
  const int m_blocks = staged_ ? out_.blocks() : groups_.group;
  const std::ptrdiff_t floats =
      frequencies_ * (strides(in_.blocks(), run_tiles_).frequency + strides(m_blocks, run_tiles_).frequency);
  return static_cast<std::size_t>(floats) * (staged_ ? 1 : parallel_workers());
}

WinogradTask WinogradLayer::task(const Activations& activations) const {
  const auto optional = [&](int tensor) { return tensor >= 0 ? activations.data(tensor) : nullptr; };
  return {activations.data(step_.inputs[0]),
          activations.data(step_.output),
          optional(step_.pooled),
          bias_.as<float>(),
          optional(step_.residual),
          step_.relu,
          in_.shape.height,
          in_.shape.width,
          dilation_,
          tiles_y_,
          tiles_x_};
}

void WinogradLayer::multiply(const float* v, int tiles, std::ptrdiff_t v_block, int group, int frequency, float* m,
                             std::ptrdiff_t m_block) const {
  std::ptrdiff_t offsets[kMaxBlocks];
  for (int block = 0; block < in_.blocks(); ++block) offsets[block] = block * v_block;
  kernels().gemm({v, offsets, in_.blocks(), tiles, weights(group, frequency), groups_.size(group), m, m_block});
}

void WinogradLayer::run(const Activations& activations) const {
  if (staged_)
    run_staged(task(activations), activations.scratch);
  else
    run_blocked(task(activations), activations.scratch);
}

void WinogradLayer::run_blocked(const WinogradTask& task, float* scratch) const {
  const std::int64_t blocks = (tiles_ + run_tiles_ - 1) / run_tiles_;
  const std::size_t worker_floats = scratch_floats() / static_cast<std::size_t>(parallel_workers());
  parallel_for_worker(blocks, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * run_tiles_;
      run_block(task, first, static_cast<int>(std::min<std::int64_t>(run_tiles_, tiles_ - first)),
                scratch + worker_floats * static_cast<std::size_t>(worker));
    }
  });
}

void WinogradLayer::run_block(const WinogradTask& task, std::int64_t first, int tiles, float* scratch) const {
  const WinogradStrides v_strides = strides(in_.blocks(), run_tiles_);
  float* v = scratch;
  float* m = scratch + frequencies_ * v_strides.frequency;
  kernels_.input(task, first, tiles, 0, in_.blocks(), v, v_strides);
  for (int group = 0; group < groups_.count(); ++group) {
    const WinogradStrides m_strides = strides(groups_.size(group), run_tiles_);
    for (int f = 0; f < frequencies_; ++f)
      multiply(v + f * v_strides.frequency, tiles, v_strides.block, group, f, m + f * m_strides.frequency,
               m_strides.block);
    const int block = group * groups_.group;
    kernels_.output(task, first, tiles, block, block + groups_.size(group), m, m_strides);
  }
}

void WinogradLayer::run_staged(const WinogradTask& task, float* scratch) const {
  const WinogradStrides v_strides = strides(in_.blocks(), run_tiles_), m_strides = strides(out_.blocks(), run_tiles_);
  float* v = scratch;
  float* m = scratch + frequencies_ * v_strides.frequency;
  for (std::int64_t first = 0; first < tiles_; first += run_tiles_) {
    const int tiles = static_cast<int>(std::min<std::int64_t>(run_tiles_, tiles_ - first));
    parallel_for(in_.blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
      kernels_.input(task, first, tiles, static_cast<int>(begin), static_cast<int>(end), v, v_strides);
    });
    // Frequencies are the outer loop: a frequency's V stays in the cache while its weights stream through.
    const int groups = groups_.count();
    parallel_for(static_cast<std::int64_t>(frequencies_) * groups, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const int f = static_cast<int>(i / groups), group = static_cast<int>(i % groups);
        multiply(v + f * v_strides.frequency, tiles, v_strides.block, group, f,
                 m + f * m_strides.frequency + group * groups_.group * m_strides.block, m_strides.block);
      }
    });
    parallel_for(out_.blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
      for (int block = static_cast<int>(begin); block < end; ++block)
        kernels_.output(task, first, tiles, block, block + 1, m + block * m_strides.block, m_strides);
    });
  }
}

}  // namespace

std::unique_ptr<Layer> make_winograd(const Plan& plan, const Step& step) {
  return std::make_unique<WinogradLayer>(plan, step);
}

}  // namespace rmbg::cpu
