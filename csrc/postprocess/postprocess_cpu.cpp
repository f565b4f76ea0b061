// SPDX-License-Identifier: Apache-2.0
// Postprocessing on the CPU. A row of alpha is made and used while it is in cache.
#include "postprocess/postprocess.h"

#include <algorithm>

#include "core/multiversion.h"
#include "core/reduce.h"
#include "core/thread_pool.h"
#include "postprocess/blur.h"
#include "postprocess/composite_pixel.h"
#include "postprocess/refine.h"

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

/// back: a row of the background image, or one colour that is used for every pixel.
template <int kChannels, int kBackStep>
RMBG_MULTIVERSION void composite_row(const std::uint8_t* frame, const std::uint8_t* matte, const std::uint8_t* back,
                                     std::uint8_t* out, int width) {
  for (int x = 0; x < width; ++x)
    composite_pixel<kChannels>(frame + x * kChannels, matte[x], back + x * kBackStep, out + x * 3);
}

template <int kChannels>
RowFunction row_function(const PostprocessOptions& options, BackgroundKind background) {
  switch (options.output) {
    case Output::kCutout:
      return options.premultiplied ? cutout_row<kChannels, true> : cutout_row<kChannels, false>;
    case Output::kComposite:
      return background == BackgroundKind::kImage ? composite_row<kChannels, 3> : composite_row<kChannels, 0>;
    case Output::kAlpha:
      break;
  }
  return alpha_row<kChannels>;
}

RowFunction row_function(const PostprocessOptions& options, BackgroundKind background, int frame_channels) {
  return frame_channels == 1   ? row_function<1>(options, background)
         : frame_channels == 3 ? row_function<3>(options, background)
                               : row_function<4>(options, background);
}

RMBG_MULTIVERSION void stretch_piece(const float* prediction, std::int64_t count, MinMax range, std::uint8_t* matte) {
  for (std::int64_t i = 0; i < count; ++i) matte[i] = matte_byte(prediction[i], range.min, range.max);
}

void stretch_to_bytes(const float* prediction, std::int64_t count, const PostprocessOptions& options,
                      std::uint8_t* matte) {
  const MinMax range = options.stretch == Stretch::kMinMax ? min_max(prediction, count) : options.range;
  parallel_for(count, 32 * 1024, [&](std::int64_t begin, std::int64_t end) {
    stretch_piece(prediction + begin, end - begin, range, matte + begin);
  });
}

/// The first pass of the resize; the second runs row by row, fused with the next step.
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

/// Where rows of alpha come from: the second pass of the resize, or the lines of the guided filter.
class AlphaRows {
 public:
  AlphaRows(const ConstImageView& frame, bool refine, const PostprocessWorkspace& workspace, Stream stream)
      : frame_(frame), workspace_(workspace), scratch_bytes_(guided_scratch_bytes(workspace.plan->in())) {
    const Size size = workspace.plan->in();
    const ConstImageView matte{workspace.matte, size.width, size.height, size.width, PixelFormat::kGray8};
    if (refine) {
      lines_ = fit_lines(workspace.guide, workspace.matte, size, frame.width, workspace.lines, workspace.guided_scratch,
                         stream);
    } else {
      between_ = first_pass(matte, *workspace.plan, workspace.between, stream);
    }
  }

  void make(int y, int worker, std::uint8_t* alpha) const {
    if (lines_.data != nullptr) {
      guided_row(lines_, frame_, y, workspace_.guided_scratch + worker * scratch_bytes_, alpha);
    } else {
      second_pass_row(between_, *workspace_.plan, y, alpha);
    }
  }

 private:
  const ConstImageView& frame_;
  const PostprocessWorkspace& workspace_;
  std::size_t scratch_bytes_;
  ConstImageView between_;
  GuidedLines lines_;
};

const std::uint8_t* back_row(const Background& background, int y) {
  return background.kind == BackgroundKind::kImage ? background.image.row(y) : background.color;
}

Background image_background(const std::uint8_t* image, const ConstImageView& frame) {
  Background background;
  background.kind = BackgroundKind::kImage;
  background.image = {image, frame.width, frame.height, static_cast<std::ptrdiff_t>(frame.width) * 3,
                      PixelFormat::kBgr8};
  return background;
}

/// Each row of alpha is used while it is in cache.
void finish(const AlphaRows& rows, const ConstImageView& frame, const PostprocessOptions& options,
            const PostprocessWorkspace& workspace, const ImageView& dst, Stream stream) {
  Background background = options.background;
  if (over_blur(options)) {
    gaussian_blur(frame, options.blur_sigma, workspace.blurred, workspace.blur_scratch, stream);
    background = image_background(workspace.blurred, frame);
  }
  const int frame_channels = channels(frame.format);
  const bool alpha_is_result = options.output == Output::kAlpha && frame_channels != 4;
  const RowFunction finish_row = row_function(options, background.kind, frame_channels);
  parallel_for_worker(frame.height, rows_per_piece(frame.width), [&](std::int64_t begin, std::int64_t end, int worker) {
    std::uint8_t* const scratch = workspace.alpha_rows + static_cast<std::int64_t>(worker) * frame.width;
    for (int y = static_cast<int>(begin); y < end; ++y) {
      std::uint8_t* const alpha = alpha_is_result ? dst.row(y) : scratch;
      rows.make(y, worker, alpha);
      if (!alpha_is_result) finish_row(frame.row(y), alpha, back_row(background, y), dst.row(y), frame.width);
    }
  });
}

/// Colours near the edge depend on many rows, so all of alpha is computed first.
void finish_with_foreground(const AlphaRows& rows, const ConstImageView& frame, const PostprocessOptions& options,
                            const PostprocessWorkspace& workspace, const ImageView& dst, Stream stream) {
  const ForegroundWorkspace& foreground = workspace.foreground;
  const BlockGrid grid = block_grid({frame.width, frame.height});
  const std::size_t scratch_words = foreground_scratch_words(grid);
  const std::int64_t width = frame.width;
  parallel_for_worker(grid.blocks.height, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (int row = static_cast<int>(begin); row < end; ++row) {
      const int bottom = std::min((row + 1) * grid.side, frame.height);
      for (int y = row * grid.side; y < bottom; ++y) rows.make(y, worker, workspace.alpha + y * width);
      block_row_means(frame, workspace.alpha, width, grid, row, foreground.scratch + worker * scratch_words,
                      foreground.means);
    }
  });
  const GroundPlanes grounds = estimate_grounds(grid, foreground, stream);
  Background background = options.background;
  if (over_blur(options)) {
    blur_surroundings(frame, workspace.alpha, options.blur_sigma, workspace.blurred, workspace.blur_scratch, stream);
    background = image_background(workspace.blurred, frame);
  }
  const RowFunction finish_row = row_function(options, background.kind, channels(frame.format));
  const std::int64_t row_size = row_bytes(frame.width, frame.format);
  parallel_for_worker(frame.height, rows_per_piece(width * 4), [&](std::int64_t begin, std::int64_t end, int worker) {
    std::uint8_t* const front = workspace.front_rows + worker * row_size;
    for (int y = static_cast<int>(begin); y < end; ++y) {
      const std::uint8_t* const alpha = workspace.alpha + y * width;
      foreground_row(grounds, frame, alpha, y, foreground.scratch + worker * scratch_words, front);
      finish_row(front, alpha, back_row(background, y), dst.row(y), frame.width);
    }
  });
}

}  // namespace

void postprocess(const float* prediction, const ConstImageView& frame, const PostprocessOptions& options,
                 const PostprocessWorkspace& workspace, const ImageView& dst, Stream stream) {
  const Size size = workspace.plan->in();
  stretch_to_bytes(prediction, static_cast<std::int64_t>(size.width) * size.height, options, workspace.matte);
  const AlphaRows rows(frame, options.refine, workspace, stream);
  if (shows_foreground(options)) {
    finish_with_foreground(rows, frame, options, workspace, dst, stream);
  } else {
    finish(rows, frame, options, workspace, dst, stream);
  }
}

}  // namespace rmbg
