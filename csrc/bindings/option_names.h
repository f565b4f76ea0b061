// SPDX-License-Identifier: Apache-2.0
// The options as the strings that Python uses.
#pragma once

#include <stdexcept>
#include <string>

#include "postprocess/postprocess.h"
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
  if (name == "none") return Stretch::kNone;
  throw std::invalid_argument("stretch is '" + name + "'; expected 'minmax' or 'none'");
}

inline Output output_of(const std::string& name) {
  if (name == "alpha") return Output::kAlpha;
  if (name == "cutout") return Output::kCutout;
  if (name == "composite") return Output::kComposite;
  throw std::invalid_argument("output is '" + name + "'; expected 'alpha', 'cutout' or 'composite'");
}

}  // namespace rmbg
