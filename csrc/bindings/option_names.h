// SPDX-License-Identifier: Apache-2.0
// The options as the strings that Python uses.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "core/data_type.h"
#include "postprocess/postprocess.h"
#include "preprocess/nv12.h"
#include "preprocess/resample_table.h"

namespace rmbg {

inline ResampleFilter filter_of(const std::string& name) {
  if (name == "lanczos") return ResampleFilter::kLanczos;
  if (name == "bilinear") return ResampleFilter::kBilinear;
  if (name == "area") return ResampleFilter::kBox;
  throw std::invalid_argument("filter is '" + name + "'; expected 'lanczos', 'bilinear' or 'area'");
}

inline Stretch stretch_of(const std::string& name) {
  if (name == "minmax") return Stretch::kMinMax;
  if (name == "fixed") return Stretch::kFixed;
  throw std::invalid_argument("stretch is '" + name + "'; expected 'minmax' or 'fixed'");
}

inline Output output_of(const std::string& name) {
  if (name == "alpha") return Output::kAlpha;
  if (name == "cutout") return Output::kCutout;
  if (name == "composite") return Output::kComposite;
  throw std::invalid_argument("output is '" + name + "'; expected 'alpha', 'cutout' or 'composite'");
}

inline DataType dtype_of(const std::string& name) {
  if (name == "float32") return DataType::kFloat32;
  if (name == "float16") return DataType::kFloat16;
  throw std::invalid_argument("tensor dtype is '" + name + "'; expected 'float32' or 'float16'");
}

inline const char* dtype_name(DataType dtype) { return dtype == DataType::kFloat32 ? "float32" : "float16"; }

inline Layout layout_of(const std::string& name) {
  if (name == "nchw") return Layout::kNchw;
  if (name == "nhwc") return Layout::kNhwc;
  throw std::invalid_argument("tensor layout is '" + name + "'; expected 'nchw' or 'nhwc'");
}

inline const char* layout_name(Layout layout) { return layout == Layout::kNchw ? "nchw" : "nhwc"; }

/// Of NV12 frames; the empty name is for all others.
inline std::optional<YuvMatrix> yuv_matrix_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "bt601") return bt601(false);
  if (name == "bt709") return bt709(false);
  if (name == "bt601-full") return bt601(true);
  if (name == "bt709-full") return bt709(true);
  throw std::invalid_argument("nv12 is '" + name + "'; expected 'bt601', 'bt709', 'bt601-full' or 'bt709-full'");
}

inline PixelFormat yuv_color_of(const std::string& color) {
  return color == "rgb" ? PixelFormat::kRgb8 : PixelFormat::kBgr8;
}

}  // namespace rmbg
