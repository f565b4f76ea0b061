// SPDX-License-Identifier: Apache-2.0
// Postprocessing on the CPU. A row of alpha is made and used while it is in cache.
#include "postprocess/postprocess.h"

#include <algorithm>

#include "core/launch.h"
#include "core/multiversion.h"
#include "core/reduce.h"
#include "postprocess/composite_pixel.h"
#include "postprocess/matte_pixel.h"

namespace rmbg {
namespace {

using RowFunction = void (*)(const std::uint8_t* frame, const std::uint8_t* matte, const std::uint8_t* back,
                             std::uint8_t* out, int width);

template <int kChannels>
RMBG_MULTIVERSION void alpha_row(const std::uint8_t* frame, const std::uint8_t* matte, const std::uint8_t*,
                                 std::uint8_t* out, int width) {
  for (int x = 0; x < width; ++x) out[x] = effective_alpha<kChannels>(frame + x * kChannels, matte[x]);
}

template <int kChannels, bool kPremultiplied>
RMBG_MULTIVERSION void cutout_row(const std::uint8_t* frame, const std::uint8_t* matte, const std::uint8_t*,
                                  std::uint8_t* out, int width) {
  for (int x = 0; x < width; ++x) cutout_pixel<kChannels, kPremultiplied>(frame + x * kChannels, matte[x], out + x * 4);
}

/// back: a row of the background picture, or one colour that is used for every pixel.
template <int kChannels, int kBackStep>
RMBG_MULTIVERSION void composite_row(const std::uint8_t* frame, const std::uint8_t* matte, const std::uint8_t* back,
                                     std::uint8_t* out, int width) {
  for (int x = 0; x < width; ++x)
    composite_pixel<kChannels>(frame + x * kChannels, matte[x], back + x * kBackStep, out + x * 3);
}

template <int kChannels>
RowFunction row_function(const PostprocessOptions& options) {
  switch (options.output) {
    case Output::kCutout:
      return options.premultiplied ? cutout_row<kChannels, true> : cutout_row<kChannels, false>;
    case Output::kComposite:
      return options.background.kind == BackgroundKind::kImage ? composite_row<kChannels, 3>
                                                               : composite_row<kChannels, 0>;
    case Output::kAlpha:
      break;
  }
  return alpha_row<kChannels>;
}

RowFunction row_function(const PostprocessOptions& options, int frame_channels) {
  return frame_channels == 1   ? row_function<1>(options)
         : frame_channels == 3 ? row_function<3>(options)
                               : row_function<4>(options);
}

RMBG_MULTIVERSION void stretch_piece(const float* prediction, std::int64_t count, MinMax range, std::uint8_t* matte) {
  for (std::int64_t i = 0; i < count; ++i) matte[i] = matte_byte(prediction[i], range.min, range.max);
}

void stretch_to_bytes(const float* prediction, std::int64_t count, Stretch stretch, std::uint8_t* matte) {
  const MinMax range = stretch == Stretch::kMinMax ? min_max(prediction, count) : MinMax{0.0f, 1.0f};
  parallel_for(count, 32 * 1024, [&](std::int64_t begin, std::int64_t end) {
    stretch_piece(prediction + begin, end - begin, range, matte + begin);
  });
}

/// The first pass of the resize; the second is done row by row, with what follows it.
ConstImageView first_pass(const ConstImageView& matte, const ResamplePlan& plan, std::uint8_t* between, Stream stream) {
  const Size size = plan.between();
  const ImageView result{between, size.width, size.height, size.width, PixelFormat::kGray8};
  if (plan.columns_first) {
    resample_columns(matte, plan.along_y, result, stream);
  } else {
    const int offset = 0;
    resample_rows(matte, plan.along_x, &offset, {between, 1, size.width, size.height}, stream);
  }
  return {between, size.width, size.height, size.width, PixelFormat::kGray8};
}

void second_pass_row(const ConstImageView& between, const ResamplePlan& plan, int y, std::uint8_t* alpha) {
  if (plan.columns_first) {
    resample_one_row(between, plan.along_x, y, alpha);
  } else {
    resample_one_column_row(between, plan.along_y, y, alpha);
  }
}

}  // namespace

void postprocess(const float* prediction, const ConstImageView& frame, const PostprocessOptions& options,
                 const PostprocessWorkspace& workspace, const ImageView& dst, Stream stream) {
  const ResamplePlan& plan = *workspace.plan;
  const Size size = plan.in();
  stretch_to_bytes(prediction, static_cast<std::int64_t>(size.width) * size.height, options.stretch, workspace.matte);
  const ConstImageView between = first_pass({workspace.matte, size.width, size.height, size.width, PixelFormat::kGray8},
                                            plan, workspace.between, stream);

  const int frame_channels = channels(frame.format);
  const bool matte_is_result = options.output == Output::kAlpha && frame_channels != 4;
  const RowFunction finish = row_function(options, frame_channels);
  const Background& background = options.background;
  parallel_for_worker(frame.height, rows_per_piece(frame.width), [&](std::int64_t begin, std::int64_t end, int worker) {
    std::uint8_t* alpha = workspace.alpha_rows + static_cast<std::int64_t>(worker) * frame.width;
    for (int y = static_cast<int>(begin); y < end; ++y) {
      if (matte_is_result) {
        second_pass_row(between, plan, y, dst.row(y));
        continue;
      }
      second_pass_row(between, plan, y, alpha);
      const std::uint8_t* back = background.kind == BackgroundKind::kImage ? background.image.row(y) : background.color;
      finish(frame.row(y), alpha, back, dst.row(y), frame.width);
    }
  });
}

}  // namespace rmbg
