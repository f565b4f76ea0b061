// SPDX-License-Identifier: Apache-2.0
// The inner loops of resampling with AVX2. vpmaddwd multiplies two neighbouring taps and adds them in one
// instruction; with weights split into 12 low bits and the rest (resample_plan.h) two of them are exact.
// Sums wrap modulo 2^32 on the way, and the total, which fits, comes out right.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "preprocess/resample_kernels.h"
#include "preprocess/resample_pixel.h"

namespace rmbg {
namespace {

constexpr int kGroup = ResampleTable::kGroup;

/// Two sums of one tap pair: with the high and with the low halves of the weights.
struct Sum {
  __m256i high = _mm256_setzero_si256();
  __m256i low = _mm256_setzero_si256();

  void add(__m256i samples, __m256i high_weights, __m256i low_weights) {
    high = _mm256_add_epi32(high, _mm256_madd_epi16(samples, high_weights));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(samples, low_weights));
  }
  __m256i total() const { return _mm256_add_epi32(_mm256_slli_epi32(high, ResampleTable::kLowBits), low); }
};

__m128i round4(__m128i sum) { return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kRoundHalf)), kWeightBits); }

/// Four sums as four bytes, clipped.
std::uint32_t bytes4(__m128i sum) {
  const __m128i words = _mm_packs_epi32(round4(sum), _mm_setzero_si128());
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_packus_epi16(words, words)));
}

__m256i load_two(const std::uint8_t* low, const std::uint8_t* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

// Interleaved pixels of 3 or 4 channels. A 128-bit half holds four pixels; a shuffle makes 16-bit pairs of
// two neighbouring pixels for each channel: r0 r1 g0 g1 b0 b1 (a0 a1). The halves hold taps 0..3 and 4..7.
struct PairShuffle {
  alignas(16) std::int8_t lanes[16];

  __m256i load() const { return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(lanes))); }
};

template <int kChannels>
constexpr PairShuffle pair_shuffle(int pixel) {
  PairShuffle shuffle{};
  for (std::int8_t& lane : shuffle.lanes) lane = -1;  // a zero byte
  for (int c = 0; c < kChannels; ++c) {
    shuffle.lanes[c * 4] = static_cast<std::int8_t>(pixel * kChannels + c);
    shuffle.lanes[c * 4 + 2] = static_cast<std::int8_t>((pixel + 1) * kChannels + c);
  }
  return shuffle;
}

/// Output sample x of `kRows` rows at once (they share the weights); sums in channel order.
template <int kChannels, int kRows>
void pixel_sums(const std::uint8_t* const* rows, const ResampleTable& table, int x, __m128i* sums) {
  static constexpr PairShuffle kPixels01 = pair_shuffle<kChannels>(0), kPixels23 = pair_shuffle<kChannels>(2);
  const __m256i shuffle01 = kPixels01.load(), shuffle23 = kPixels23.load();
  const __m256i pick01 = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
  const __m256i pick23 = _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3);
  const __m256i low_half = _mm256_set1_epi32(4);
  const std::int16_t* weights = table.packed_of(x);
  const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(table.packed_first[x]) * kChannels;
  Sum sum[kRows];
  for (int group = 0; group < table.packed_taps / kGroup; ++group) {
    const __m256i packed = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + group * 2 * kGroup));
    const __m256i high01 = _mm256_permutevar8x32_epi32(packed, pick01);
    const __m256i high23 = _mm256_permutevar8x32_epi32(packed, pick23);
    const __m256i low01 = _mm256_permutevar8x32_epi32(packed, _mm256_add_epi32(pick01, low_half));
    const __m256i low23 = _mm256_permutevar8x32_epi32(packed, _mm256_add_epi32(pick23, low_half));
    for (int r = 0; r < kRows; ++r) {
      const std::uint8_t* p = rows[r] + offset + group * kGroup * kChannels;
      const __m256i pixels = load_two(p, p + 4 * kChannels);
      sum[r].add(_mm256_shuffle_epi8(pixels, shuffle01), high01, low01);
      sum[r].add(_mm256_shuffle_epi8(pixels, shuffle23), high23, low23);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const __m256i total = sum[r].total();
    sums[r] = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  }
}

template <int kChannels>
void rows_interleaved(const ConstImageView& src, const ResampleTable& table, const int* plane_offset,
                      const PlanesView& dst, int begin, int end) {
  constexpr int kRows = 4;
  // A 16-byte load of four 3-byte pixels also reads the next two, so the last outputs, whose windows end at the border,
  // take the plain path.
  const int spare = kChannels == 3 ? 2 : 0;
  int fast = table.out_size;
  while (fast > 0 && table.packed_first[fast - 1] + table.packed_taps + spare > table.in_size) --fast;
  for (int y = begin; y < end; y += kRows) {
    const int rows = std::min(kRows, end - y);
    const std::uint8_t* in[kRows];
    for (int r = 0; r < kRows; ++r) in[r] = src.row(y + std::min(r, rows - 1));
    alignas(16) std::uint32_t pixels[kRows];
    for (int x = 0; x < fast; ++x) {
      __m128i sums[kRows];
      pixel_sums<kChannels, kRows>(in, table, x, sums);
      const __m128i words01 = _mm_packs_epi32(round4(sums[0]), round4(sums[1]));
      const __m128i words23 = _mm_packs_epi32(round4(sums[2]), round4(sums[3]));
      _mm_store_si128(reinterpret_cast<__m128i*>(pixels), _mm_packus_epi16(words01, words23));
      for (int plane = 0; plane < dst.count; ++plane) {
        std::uint8_t* out = dst.row(plane, y) + x;
        const std::uint8_t* bytes = reinterpret_cast<const std::uint8_t*>(pixels) + plane_offset[plane];
        for (int r = 0; r < rows; ++r) out[static_cast<std::ptrdiff_t>(r) * dst.width] = bytes[4 * r];
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int plane = 0; plane < dst.count; ++plane)
        for (int x = fast; x < table.out_size; ++x)
          dst.row(plane, y + r)[x] =
              resample_pixel(in[r] + static_cast<std::ptrdiff_t>(table.first[x]) * kChannels + plane_offset[plane],
                             kChannels, table.weights_of(x), table.count[x]);
  }
}

/// Eight taps of one gray window, as sums of four tap pairs.
__m128i gray_sums(const std::uint8_t* row, const ResampleTable& table, int x) {
  const std::uint8_t* p = row + table.packed_first[x];
  const std::int16_t* weights = table.packed_of(x);
  __m128i high = _mm_setzero_si128(), low = _mm_setzero_si128();
  for (int group = 0; group < table.packed_taps / kGroup; ++group, p += kGroup, weights += 2 * kGroup) {
    const __m128i samples = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m128i* pair = reinterpret_cast<const __m128i*>(weights);
    high = _mm_add_epi32(high, _mm_madd_epi16(samples, _mm_loadu_si128(pair)));
    low = _mm_add_epi32(low, _mm_madd_epi16(samples, _mm_loadu_si128(pair + 1)));
  }
  return _mm_add_epi32(_mm_slli_epi32(high, ResampleTable::kLowBits), low);
}

void rows_gray(const ConstImageView& src, const ResampleTable& table, const PlanesView& dst, int begin, int end) {
  for (int y = begin; y < end; ++y) {
    const std::uint8_t* in = src.row(y);
    std::uint8_t* out = dst.row(0, y);
    int x = 0;
    for (; x + 4 <= table.out_size; x += 4) {
      const __m128i ab = _mm_hadd_epi32(gray_sums(in, table, x), gray_sums(in, table, x + 1));
      const __m128i cd = _mm_hadd_epi32(gray_sums(in, table, x + 2), gray_sums(in, table, x + 3));
      const std::uint32_t four = bytes4(_mm_hadd_epi32(ab, cd));
      std::memcpy(out + x, &four, sizeof four);
    }
    for (; x < table.out_size; ++x)
      out[x] = resample_pixel(in + table.first[x], 1, table.weights_of(x), table.count[x]);
    for (int plane = 1; plane < dst.count; ++plane) std::copy_n(out, dst.width, dst.row(plane, y));
  }
}

void rows_avx2(const ConstImageView& src, const ResampleTable& table, const int* plane_offset, const PlanesView& dst,
               int begin, int end) {
  if (table.packed_taps == 0) {
    resample_kernels_generic().rows(src, table, plane_offset, dst, begin, end);
  } else if (channels(src.format) == 1) {
    rows_gray(src, table, dst, begin, end);
  } else if (channels(src.format) == 3) {
    rows_interleaved<3>(src, table, plane_offset, dst, begin, end);
  } else {
    rows_interleaved<4>(src, table, plane_offset, dst, begin, end);
  }
}

void column_row_avx2(const std::uint8_t* src, std::ptrdiff_t pitch, int width, const ResampleTable& table, int y,
                     std::uint8_t* dst) {
  constexpr int kColumns = 16;
  int x = 0;
  if (table.packed_taps > 0) {
    const std::uint8_t* top = src + table.packed_first[y] * pitch;
    for (; x + kColumns <= width; x += kColumns) {
      Sum left, right;  // columns 0..7 and 8..15
      const std::uint8_t* p = top + x;
      for (int tap = 0; tap < table.packed_taps; tap += 2, p += 2 * pitch) {
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + pitch));
        const std::int16_t* pair = table.packed_of(y) + tap / kGroup * (2 * kGroup) + tap % kGroup;
        std::int32_t high = 0, low = 0;
        std::memcpy(&high, pair, sizeof high);
        std::memcpy(&low, pair + kGroup, sizeof low);
        const __m256i high_weights = _mm256_set1_epi32(high), low_weights = _mm256_set1_epi32(low);
        left.add(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), high_weights, low_weights);
        right.add(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), high_weights, low_weights);
      }
      const __m256i half = _mm256_set1_epi32(kRoundHalf);
      const __m256i l = _mm256_srai_epi32(_mm256_add_epi32(left.total(), half), kWeightBits);
      const __m256i r = _mm256_srai_epi32(_mm256_add_epi32(right.total(), half), kWeightBits);
      // packs works within 128-bit halves: columns come out as 0-3 8-11 | 4-7 12-15, then are put in order.
      const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(l, r), _MM_SHUFFLE(3, 1, 2, 0));
      const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + x), bytes);
    }
  }
  const std::uint8_t* top = src + table.first[y] * pitch;
  for (; x < width; ++x) dst[x] = resample_pixel(top + x, pitch, table.weights_of(y), table.count[y]);
}

}  // namespace

const ResampleKernels& resample_kernels_avx2() {
  static const ResampleKernels kernels{"avx2", rows_avx2, column_row_avx2};
  return kernels;
}

}  // namespace rmbg
