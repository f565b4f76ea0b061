// SPDX-License-Identifier: Apache-2.0
// Frames of any size, pitch and format with any options through a pipeline, whose network gives any numbers:
// resampling, NV12, refinement, blur, foreground colours, stabilisation and compositing. Equal frames give equal
// results, and bytes between the rows of a result stay as they were.
#include <algorithm>
#include <memory>
#include <vector>

#include "fuzz/core/input.h"
#include "pipeline/pipeline.h"

namespace rmbg::fuzz {
namespace {

constexpr std::uint8_t kUntouched = 0xA5;

class AnyNetwork : public Network {
 public:
  explicit AnyNetwork(Input& in) {
    const std::int64_t height = in.between(1, 40), width = in.between(1, 40);
    const bool same = in.flag();
    spec_.input = {"input", {1, 3, height, width}};
    spec_.output = {"output", {1, 1, same ? height : in.between(1, 40), same ? width : in.between(1, 40)}};
    for (float& value : values_) value = in.any_float();
  }
  const NetworkSpec& spec() const override { return spec_; }
  void bind(const TensorView& input, const TensorView& output) override {
    input_ = static_cast<const float*>(input.data);
    output_ = static_cast<float*>(output.data);
  }
  void enqueue(Stream) override {
    const std::size_t inputs = spec_.input.bytes() / sizeof(float), outputs = spec_.output.bytes() / sizeof(float);
    for (std::size_t i = 0; i < outputs; ++i) output_[i] = values_[i % 5] + input_[i % inputs] * 0.1f;
  }
  bool capturable() const override { return false; }

 private:
  NetworkSpec spec_;
  float values_[5];
  const float* input_ = nullptr;
  float* output_ = nullptr;
};

/// An image in memory of exactly its extent, so that AddressSanitizer sees every byte beyond it.
struct Image {
  std::vector<std::uint8_t> bytes;
  int width, height;
  std::ptrdiff_t pitch;
  PixelFormat format;

  Image(Input& in, int width_, int height_, PixelFormat format_) : width(width_), height(height_), format(format_) {
    const int padding = in.flag() ? 0 : in.between(1, 70);
    pitch = row_bytes(width, format) + padding;
    bytes.resize(extent_bytes(view()));
    bytes.shrink_to_fit();
  }
  ImageView view() { return {bytes.data(), width, height, pitch, format}; }
  ConstImageView const_view() const { return {bytes.data(), width, height, pitch, format}; }

  bool padding_untouched() const {
    for (int y = 0; y + 1 < height; ++y) {
      const auto row = bytes.begin() + y * pitch;
      if (!std::all_of(row + row_bytes(width, format), row + pitch, [](std::uint8_t b) { return b == kUntouched; }))
        return false;
    }
    return true;
  }
};

PixelFormat any_format(Input& in) { return static_cast<PixelFormat>(in.between(0, 4)); }

YuvMatrix any_matrix(Input& in) { return in.flag() ? bt601(in.flag()) : bt709(in.flag()); }

FrameOptions any_options(Input& in) {
  FrameOptions options;
  options.output = static_cast<Output>(in.between(0, 2));
  options.blur_sigma = in.flag() ? 0.0f : in.any_float();
  options.premultiplied = in.flag();
  options.refine = in.flag();
  options.decontaminate = in.flag();
  options.background.kind = in.flag() ? BackgroundKind::kColor : BackgroundKind::kImage;
  for (std::uint8_t& color : options.background.color) color = in.take<std::uint8_t>();
  if (in.between(0, 3) == 0) options.nv12 = any_matrix(in);
  return options;
}

std::vector<std::uint8_t> run(Pipeline& pipeline, FrameJob job, Image& result) {
  std::fill(result.bytes.begin(), result.bytes.end(), kUntouched);
  job.result = result.view();
  if (!accepted([&] { pipeline.run(job); })) return {};
  require(result.padding_untouched());
  return result.bytes;
}

void one_frame(Input& in, Pipeline& pipeline, Track* track, int width, int height) {
  FrameJob job;
  job.options = any_options(in);
  if (job.options.nv12 && !in.rarely()) width = (width + 1) / 2 * 2, height = (height + 1) / 2 * 2;
  Image frame(in, width, job.options.nv12 ? std::max(1, height / 2 * 3) : height,
              job.options.nv12 ? PixelFormat::kGray8 : any_format(in));
  in.fill(frame.bytes.data(), frame.bytes.size());
  Image background(in, width, height, in.rarely() ? any_format(in) : PixelFormat::kBgr8);
  in.fill(background.bytes.data(), background.bytes.size());
  Image result(in, in.rarely() ? width + 1 : width, height,
               in.rarely() ? any_format(in) : output_format(job.options.output));
  job.frame = frame.const_view();
  if (in.rarely()) job.frame.pitch_bytes = in.take<std::int16_t>() % row_bytes(width, job.frame.format);
  job.options.background.image = background.const_view();
  job.track = track;
  const std::vector<std::uint8_t> first = run(pipeline, job, result);
  if (track == nullptr) require(run(pipeline, job, result) == first);
}

}  // namespace
}  // namespace rmbg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rmbg;
  fuzz::Input in(data, size);
  PipelineOptions options;
  options.filter = static_cast<ResampleFilter>(in.between(0, 2));
  options.stretch = in.flag() ? Stretch::kMinMax : Stretch::kFixed;
  if (in.flag()) options.range = {in.any_float(), in.any_float()};
  const auto network = std::make_shared<fuzz::AnyNetwork>(in);
  const bool tracked = in.flag();
  Track track(in.flag(), in.flag());
  const int frames = in.between(1, 3);
  const int largest = in.rarely() ? 500 : 40;
  const int width = in.between(1, largest), height = in.between(1, largest);
  Pipeline pipeline({network}, options);
  for (int i = 0; i < frames; ++i) {
    const bool other = in.between(0, 7) == 0;
    fuzz::one_frame(in, pipeline, tracked ? &track : nullptr, other ? in.between(1, 60) : width,
                    other ? in.between(1, 60) : height);
  }
  return 0;
}
