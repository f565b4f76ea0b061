// SPDX-License-Identifier: Apache-2.0
// The answer of a build without CUDA.
#include "core/device.h"

namespace rmbg {

DeviceReport cuda_report() {
  DeviceReport report;
  report.problem = "this build of rmbg-trt has no CUDA code";
  return report;
}

}  // namespace rmbg
