// SPDX-License-Identifier: Apache-2.0
// Cuts out one image:  cut_out MODEL.rmbg IN.ppm OUT.pam [alpha|cutout|composite] [auto|fp32|bf16]
// A composite is over black. With libpng, IN and OUT may also be PNG files.
#include <rmbg/engine.h>

#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include "image.h"

namespace {

bool is_png(const std::string& path) { return path.size() > 4 && path.compare(path.size() - 4, 4, ".png") == 0; }

Image read(const std::string& path) {
#if defined(HAVE_PNG)
  if (is_png(path)) return read_png(path);
#endif
  return read_ppm(path);
}

void write(const std::string& path, const Image& image) {
#if defined(HAVE_PNG)
  if (is_png(path)) return write_png(path, image);
#endif
  if (is_png(path)) throw std::runtime_error(path + ": built without libpng; give a name that ends in .pam");
  write_pam(path, image);
}

rmbg::PixelFormat format_of(int channels) {
  return channels == 1   ? rmbg::PixelFormat::kGray8
         : channels == 3 ? rmbg::PixelFormat::kRgb8
                         : rmbg::PixelFormat::kRgba8;
}

template <typename Value>
Value named(const std::map<std::string, Value>& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) throw std::invalid_argument("unknown option: " + name);
  return found->second;
}

void run(const std::string& model, const std::string& in, const std::string& out, const std::string& output,
         const std::string& precision) {
  rmbg::FrameOptions frame_options;
  frame_options.output = named<rmbg::Output>(
      {{"alpha", rmbg::Output::kAlpha}, {"cutout", rmbg::Output::kCutout}, {"composite", rmbg::Output::kComposite}},
      output);
  rmbg::EngineOptions options;
  options.precision = named<rmbg::EnginePrecision>({{"auto", rmbg::EnginePrecision::kAuto},
                                                    {"fp32", rmbg::EnginePrecision::kFp32},
                                                    {"bf16", rmbg::EnginePrecision::kBf16}},
                                                   precision);
  rmbg::Engine engine(model, options);
  std::cerr << engine.info().precision << ": " << engine.info().reason << "\n";

  const Image image = read(in);
  Image result(image.width, image.height, rmbg::output_channels(frame_options.output));
  engine.run(
      {image.pixels.data(), image.width, image.height, image.width * 3, rmbg::PixelFormat::kRgb8}, frame_options,
      {result.pixels.data(), result.width, result.height, result.width * result.channels, format_of(result.channels)});
  write(out, result);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4 || count > 6) {
    std::cerr << "usage: cut_out MODEL.rmbg IN.ppm OUT.pam [alpha|cutout|composite] [auto|fp32|bf16]\n";
    return 2;
  }
  try {
    run(arguments[1], arguments[2], arguments[3], count > 4 ? arguments[4] : "cutout",
        count > 5 ? arguments[5] : "auto");
  } catch (const std::exception& error) {
    std::cerr << "cut_out: " << error.what() << "\n";
    return 1;
  }
}
