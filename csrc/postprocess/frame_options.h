// SPDX-License-Identifier: Apache-2.0
// The options of one frame (Python's FrameOptions), which may differ from frame to frame. PipelineOptions holds what is
// fixed for a pipeline.
#pragma once

#include <cstdint>
#include <optional>

#include "core/image_view.h"
#include "preprocess/nv12.h"

namespace rmbg {

/// Alpha: 1 channel. Cutout: 4, colours and alpha. Composite: 3, the frame over a background.
enum class Output { kAlpha, kCutout, kComposite };

constexpr int output_channels(Output output) {
  return output == Output::kAlpha ? 1 : output == Output::kCutout ? 4 : 3;
}

/// A format with that many channels. The colour order is the frame's, so BGR stands for both orders here.
constexpr PixelFormat output_format(Output output) {
  return output == Output::kAlpha    ? PixelFormat::kGray8
         : output == Output::kCutout ? PixelFormat::kBgra8
                                     : PixelFormat::kBgr8;
}

enum class BackgroundKind { kColor, kImage };

/// The background of a composite. Colours and channels are in the frame's order.
struct Background {
  BackgroundKind kind = BackgroundKind::kColor;
  std::uint8_t color[3] = {0, 0, 0};
  ConstImageView image;  // 3 channels, the frame's size
};

struct FrameOptions {
  Output output = Output::kAlpha;
  Background background;          // of a composite, unless blur_sigma > 0
  float blur_sigma = 0.0f;        // > 0: the composite is over the frame itself, blurred; in pixels
  bool premultiplied = false;     // of a cutout
  std::optional<YuvMatrix> nv12;  // the frame is NV12, with this matrix and range
  bool refine = false;            // alpha follows the frame's colours (refine.h); the network's output must be as large
                                  // as its input
  bool decontaminate = false;     // a cutout or composite shows the foreground's own colours (foreground.h)
};

/// Whether two frames of one size run the same kernels: only the colour or the address of the background may differ.
/// The names in brackets are all members of FrameOptions: while a new one is missing, this does not compile.
inline bool same_work(const FrameOptions& a, const FrameOptions& b) {
  const auto& [output, background, blur_sigma, premultiplied, nv12, refine, decontaminate] = a;
  return output == b.output && background.kind == b.background.kind && blur_sigma == b.blur_sigma &&
         premultiplied == b.premultiplied && nv12 == b.nv12 && refine == b.refine && decontaminate == b.decontaminate;
}

/// Whether a composite is over the blurred frame.
constexpr bool over_blur(const FrameOptions& options) {
  return options.output == Output::kComposite && options.blur_sigma > 0;
}

/// Whether a composite is over an image.
constexpr bool over_image(const FrameOptions& options) {
  return options.output == Output::kComposite && options.blur_sigma <= 0 &&
         options.background.kind == BackgroundKind::kImage;
}

/// Whether the frame's colours are replaced by the foreground's.
constexpr bool shows_foreground(const FrameOptions& options) {
  return options.decontaminate && options.output != Output::kAlpha;
}

}  // namespace rmbg
