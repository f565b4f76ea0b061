// SPDX-License-Identifier: Apache-2.0
// Options as Python writes them: strings, and _core.FrameOptions.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "core/data_type.h"
#include "postprocess/postprocess.h"
#include "preprocess/nv12.h"
#include "preprocess/resample_plan.h"

namespace rmbg {

template <typename T>
struct Choice {
  const char* name;
  T value;
};

/// The value that Python calls `name`. Throws std::invalid_argument that lists the names.
template <typename T, std::size_t kCount>
T by_name(const char* what, const std::string& name, const Choice<T> (&choices)[kCount]) {
  std::string names;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (name == choices[i].name) return choices[i].value;
    names += std::string(i == 0 ? "'" : i + 1 < kCount ? ", '" : " or '") + choices[i].name + "'";
  }
  throw std::invalid_argument(std::string(what) + " is '" + name + "'; expected " + names);
}

inline ResampleFilter filter_of(const std::string& name) {
  return by_name<ResampleFilter>(
      "filter", name,
      {{"lanczos", ResampleFilter::kLanczos}, {"bilinear", ResampleFilter::kBilinear}, {"area", ResampleFilter::kBox}});
}

inline Stretch stretch_of(const std::string& name) {
  return by_name<Stretch>("stretch", name, {{"minmax", Stretch::kMinMax}, {"fixed", Stretch::kFixed}});
}

inline Output output_of(const std::string& name) {
  return by_name<Output>("output", name,
                         {{"alpha", Output::kAlpha}, {"cutout", Output::kCutout}, {"composite", Output::kComposite}});
}

inline DataType dtype_of(const std::string& name) {
  return by_name<DataType>("tensor dtype", name, {{"float32", DataType::kFloat32}, {"float16", DataType::kFloat16}});
}
inline const char* dtype_name(DataType dtype) { return dtype == DataType::kFloat32 ? "float32" : "float16"; }

inline Layout layout_of(const std::string& name) {
  return by_name<Layout>("tensor layout", name, {{"nchw", Layout::kNchw}, {"nhwc", Layout::kNhwc}});
}
inline const char* layout_name(Layout layout) { return layout == Layout::kNchw ? "nchw" : "nhwc"; }

/// For NV12 frames; empty for all others.
inline std::optional<YuvMatrix> yuv_matrix_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return by_name<YuvMatrix>(
      "nv12", name,
      {{"bt601", bt601(false)}, {"bt709", bt709(false)}, {"bt601-full", bt601(true)}, {"bt709-full", bt709(true)}});
}

inline PixelFormat yuv_color_of(const std::string& color) {
  return color == "rgb" ? PixelFormat::kRgb8 : PixelFormat::kBgr8;
}

/// The options, and the background image as an array, of which each job makes a view. Copy and drop it with the GIL.
struct PyFrameOptions {
  FrameOptions values;
  pybind11::object image;  // null unless the background is an image
};

}  // namespace rmbg
