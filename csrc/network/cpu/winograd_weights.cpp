// SPDX-License-Identifier: Apache-2.0
// G for F(m, 3), m = 2, 4, 6; the data side is in winograd_tile.h.
#include "network/cpu/winograd_weights.h"

#include "core/launch.h"
#include "network/cpu/kernels.h"

namespace rmbg::cpu {
namespace {

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

}  // namespace

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

}  // namespace rmbg::cpu
