// SPDX-License-Identifier: Apache-2.0
// The engine for C++ programs: a model that is ready for frames. Nothing of it needs Python.
//
//   rmbg::Engine engine("u2netp.rmbg");  // written by: rmbg-trt export --native u2netp
//   rmbg::FrameOptions options;
//   options.output = rmbg::Output::kCutout;
//   engine.run(frame, options, result);  // views of your memory: image_view.h
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/api.h"
#include "core/error.h"
#include "core/image_view.h"
#include "network/network.h"
#include "postprocess/frame_options.h"

namespace rmbg {

/// Arithmetic of the convolutions. kAuto: bf16 if the export found that the model keeps its mattes in it and the
/// processor has AMX, where it was measured to be faster; otherwise fp32. kBf16 also works with AVX512-BF16.
enum class EnginePrecision { kAuto, kFp32, kBf16 };

struct EngineOptions {
  EnginePrecision precision = EnginePrecision::kAuto;
  /// Frames that can run at once, 1 to 64. Each has memory of its own; all share the weights.
  int slots = 1;
  /// The range of probabilities that becomes alpha 0 to 255, within 0..1. {0, 1} keeps the network's probability, which
  /// suits video and scenes that may be empty. Empty: as the file says, usually the range of each matte.
  std::optional<std::pair<float, float>> stretch;
};

struct EngineInfo {
  std::string precision;      // "fp32" or "bf16"; "custom" with networks of one's own
  std::string reason;         // why
  std::string processor;      // the instruction set that the network uses: "generic", "avx2", "avx512", ...
  int width = 0, height = 0;  // of the network's input
  int slots = 0;
};

/// Any number of threads may share an engine and call run() at once; more than `slots` wait. Errors: ModelError (the
/// file), std::invalid_argument (an option, a view), UnavailableError (the processor or build lacks something),
/// NetworkError, std::bad_alloc. After an error of run() the engine stays usable.
class RMBG_API Engine {
 public:
  /// Opens a model file (".rmbg") for the CPU. The file is not trusted: it is checked before use.
  explicit Engine(const std::string& path, const EngineOptions& options = {});

  /// Runs networks of your own between the pre- and postprocessing, such as a GPU's: one for each slot, all alike. Uses
  /// ImageNet's normalization and Lanczos resampling. device: the GPU that they run on, which needs a build with CUDA;
  /// -1: the CPU.
  explicit Engine(std::vector<std::shared_ptr<Network>> networks, const EngineOptions& options = {}, int device = -1);

  /// Waits for the frames that run in other threads.
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Removes the background from one frame, on the calling thread and the program's pool of threads.
  ///
  /// frame: at least 1 x 1 in host memory, any format and pitch. A fourth channel is alpha: the result is multiplied by
  /// it. With options.nv12: both planes as one gray image, of 3/2 the height.
  /// result: memory of the frame's size with output_channels(options.output) channels, its colours in the frame's order
  /// (of NV12: any). It does not overlap the frame, unless it is exactly the frame and has as many channels.
  /// Once a slot has seen a frame this large, nothing is allocated.
  void run(const ConstImageView& frame, const FrameOptions& options, const ImageView& result);

  const EngineInfo& info() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Version of the library, such as "0.2.0".
RMBG_API const char* version();

}  // namespace rmbg
