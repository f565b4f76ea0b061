// SPDX-License-Identifier: Apache-2.0
// Preprocessing on the CPU. Inputs are bytes, so normalising is a look-up in 256 numbers a channel.
#include "preprocess/preprocess.h"

#include "core/launch.h"
#include "core/reduce.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;

void normalize(const PlanesView& resized, const Normalization& normalization, float* tensor) {
  const std::uint8_t max = max_value(resized.data, resized.bytes());
  float table[kColors][256];
  for (int c = 0; c < kColors; ++c)
    for (int value = 0; value < 256; ++value)
      table[c][value] = normalize_byte(static_cast<std::uint8_t>(value), max, normalization[c]);

  const std::int64_t rows = static_cast<std::int64_t>(kColors) * resized.height;
  parallel_for(rows, rows_per_piece(resized.width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* look_up = table[row / resized.height];
      const std::uint8_t* in = resized.data + row * resized.width;
      float* out = tensor + row * resized.width;
      for (int x = 0; x < resized.width; ++x) out[x] = look_up[in[x]];
    }
  });
}

}  // namespace

void preprocess(const ConstImageView& frame, const Normalization& normalization, const PreprocessWorkspace& workspace,
                float* tensor, Stream stream) {
  const Size size = workspace.plan->out();
  const PlanesView resized{workspace.resized, kColors, size.width, size.height};
  int offset[kColors];
  for (int c = 0; c < kColors; ++c) offset[c] = channel_offset(frame.format, c);

  resample(frame, *workspace.plan, offset, workspace.between, resized, stream);
  normalize(resized, normalization, tensor);
}

}  // namespace rmbg
