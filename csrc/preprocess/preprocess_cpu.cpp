// SPDX-License-Identifier: Apache-2.0
// Preprocessing on the CPU. Inputs are bytes, so normalization is a look-up in 256 numbers per channel.
#include "preprocess/preprocess.h"

#include "core/reduce.h"
#include "core/thread_pool.h"

namespace rmbg {
namespace {

constexpr int kColors = 3;

template <typename Number>
void normalize(const PlanesView& resized, const Normalization& normalization, Layout layout, Number* tensor) {
  const std::uint8_t max = max_value(resized.data, resized.bytes());
  Number table[kColors][256];
  for (int c = 0; c < kColors; ++c)
    for (int value = 0; value < 256; ++value)
      table[c][value] = to_number<Number>(normalize_byte(static_cast<std::uint8_t>(value), max, normalization[c]));

  const std::int64_t pixels = static_cast<std::int64_t>(resized.width) * resized.height;
  const std::int64_t step = layout == Layout::kNchw ? 1 : kColors;
  const std::int64_t rows = static_cast<std::int64_t>(kColors) * resized.height;
  parallel_for(rows, rows_per_piece(resized.width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const int color = static_cast<int>(row / resized.height);
      const Number* look_up = table[color];
      const std::uint8_t* in = resized.data + row * resized.width;
      Number* out = tensor + tensor_index(layout, pixels, row % resized.height * resized.width, color);
      if (step == 1) {
        for (int x = 0; x < resized.width; ++x) out[x] = look_up[in[x]];
      } else {
        for (int x = 0; x < resized.width; ++x) out[x * step] = look_up[in[x]];
      }
    }
  });
}

}  // namespace

void preprocess(const ConstImageView& frame, const Normalization& normalization, const PreprocessWorkspace& workspace,
                const TensorFormat& format, void* tensor, Stream stream) {
  const Size size = workspace.plan->out();
  const PlanesView resized{workspace.resized, kColors, size.width, size.height};
  int offset[kColors];
  for (int c = 0; c < kColors; ++c) offset[c] = channel_offset(frame.format, c);

  resample(frame, *workspace.plan, offset, workspace.between, resized, stream);
  if (format.dtype == DataType::kFloat32) {
    normalize(resized, normalization, format.layout, static_cast<float*>(tensor));
  } else {
    normalize(resized, normalization, format.layout, static_cast<std::uint16_t*>(tensor));
  }
}

}  // namespace rmbg
