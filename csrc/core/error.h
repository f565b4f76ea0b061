// SPDX-License-Identifier: Apache-2.0
// The core's errors. Bad arguments are std::invalid_argument; everything else derives from Error. A message says what
// was received, what was expected, and what to do.
#pragma once

#include <stdexcept>
#include <string>

namespace rmbg {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A CUDA call failed.
class CudaError : public Error {
 public:
  using Error::Error;
};

/// The network failed while it ran.
class NetworkError : public Error {
 public:
  using Error::Error;
};

/// A device or feature is not part of this build or not on this machine.
class UnavailableError : public Error {
 public:
  using Error::Error;
};

constexpr const char* kNoCuda = "this build of rmbg-trt has no CUDA code";

}  // namespace rmbg
