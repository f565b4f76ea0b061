// SPDX-License-Identifier: Apache-2.0
// The core's errors. Bad arguments are std::invalid_argument; everything else derives from Error. A message says what
// was received, what was expected, and what to do.
#pragma once

#include <stdexcept>
#include <string>

#include "core/api.h"

namespace rmbg {

class RMBG_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A CUDA call failed.
class RMBG_API CudaError : public Error {
 public:
  using Error::Error;
};

/// A model file is damaged, or of a kind or version that this build does not read.
class RMBG_API ModelError : public Error {
 public:
  using Error::Error;
};

/// The network failed while it ran.
class RMBG_API NetworkError : public Error {
 public:
  using Error::Error;
};

/// A device or feature is not part of this build or not on this machine.
class RMBG_API UnavailableError : public Error {
 public:
  using Error::Error;
};

constexpr const char* kNoCuda = "this build of rmbg-trt has no CUDA code";

}  // namespace rmbg
