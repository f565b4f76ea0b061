// SPDX-License-Identifier: Apache-2.0
// The one-dimensional transforms of F(m, 3) for m = 2, 4, 6: Y = A^T [(G g) * (B^T d)]. Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks" (2016), with interpolation points 0, +-1, +-2, +-1/2, infinity.
// The weight side, G, is in conv_winograd.cpp.
#pragma once

#include "network/cpu/simd.h"

namespace rmbg::cpu {
namespace {

template <int m>
struct WinogradTile;

template <>
struct WinogradTile<2> {
  static RMBG_INLINE void input(const Vec* d, Vec* r) {
    r[0] = d[0] - d[2];
    r[1] = d[1] + d[2];
    r[2] = d[2] - d[1];
    r[3] = d[3] - d[1];
  }
  static RMBG_INLINE void output(const Vec* p, Vec* y) {
    y[0] = p[0] + p[1] + p[2];
    y[1] = p[1] - p[2] + p[3];
  }
};

template <>
struct WinogradTile<4> {
  static RMBG_INLINE void input(const Vec* d, Vec* r) {
    const Vec even1 = d[4] - 4.0f * d[2], odd1 = d[3] - 4.0f * d[1];
    const Vec even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
    r[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    r[1] = even1 + odd1;
    r[2] = even1 - odd1;
    r[3] = even2 + odd2;
    r[4] = even2 - odd2;
    r[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
  }
  static RMBG_INLINE void output(const Vec* p, Vec* y) {
    const Vec sum1 = p[1] + p[2], difference1 = p[1] - p[2];
    const Vec sum2 = p[3] + p[4], difference2 = p[3] - p[4];
    y[0] = p[0] + sum1 + sum2;
    y[1] = difference1 + 2.0f * difference2;
    y[2] = sum1 + 4.0f * sum2;
    y[3] = difference1 + 8.0f * difference2 + p[5];
  }
};

template <>
struct WinogradTile<6> {
  static RMBG_INLINE void input(const Vec* d, Vec* r) {
    r[0] = (d[0] - d[6]) + 5.25f * (d[4] - d[2]);
    r[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
    const Vec even1 = (d[2] + d[6]) - 4.25f * d[4], odd1 = (d[1] + d[5]) - 4.25f * d[3];
    r[1] = even1 + odd1;
    r[2] = even1 - odd1;
    const Vec even2 = d[6] + 0.25f * d[2] - 1.25f * d[4], odd2 = 0.5f * d[1] - 2.5f * d[3] + 2.0f * d[5];
    r[3] = even2 + odd2;
    r[4] = even2 - odd2;
    const Vec even3 = d[6] + 4.0f * d[2] - 5.0f * d[4], odd3 = 2.0f * d[1] - 2.5f * d[3] + 0.5f * d[5];
    r[5] = even3 + odd3;
    r[6] = even3 - odd3;
  }
  static RMBG_INLINE void output(const Vec* p, Vec* y) {
    const Vec sum1 = p[1] + p[2], difference1 = p[1] - p[2];
    const Vec sum2 = p[3] + p[4], difference2 = p[3] - p[4];
    const Vec sum3 = p[5] + p[6], difference3 = p[5] - p[6];
    y[0] = p[0] + sum1 + sum2 + sum3;
    y[1] = difference1 + 2.0f * difference2 + 0.5f * difference3;
    y[2] = sum1 + 4.0f * sum2 + 0.25f * sum3;
    y[3] = difference1 + 8.0f * difference2 + 0.125f * difference3;
    y[4] = sum1 + 16.0f * sum2 + 0.0625f * sum3;
    y[5] = difference1 + 32.0f * difference2 + 0.03125f * difference3 + p[7];
  }
};

}  // namespace
}  // namespace rmbg::cpu
