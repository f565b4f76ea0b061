// SPDX-License-Identifier: Apache-2.0
// An image in memory, and the files of the example: PPM in, PAM or PGM out, and PNG where there is libpng.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct Image {
  int width = 0, height = 0, channels = 0;  // 1 gray, 3 RGB, 4 RGBA
  std::vector<std::uint8_t> pixels{};

  Image() = default;
  Image(int width, int height, int channels)
      : width(width),
        height(height),
        channels(channels),
        pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
               static_cast<std::size_t>(channels)) {}
};

// They throw std::runtime_error.
Image read_ppm(const std::string& path);                      // P6, 8 bits
void write_pam(const std::string& path, const Image& image);  // P7; P5 for gray
Image read_png(const std::string& path);
void write_png(const std::string& path, const Image& image);
