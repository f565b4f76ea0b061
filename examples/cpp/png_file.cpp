// SPDX-License-Identifier: Apache-2.0
// PNG through libpng's simplified interface.
#include <png.h>

#include <stdexcept>

#include "image.h"

Image read_png(const std::string& path) {
  png_image file{};
  file.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&file, path.c_str()) == 0) throw std::runtime_error(path + ": " + file.message);
  file.format = PNG_FORMAT_RGB;
  Image image(static_cast<int>(file.width), static_cast<int>(file.height), 3);
  const png_color white{255, 255, 255};  // behind transparent pixels
  if (png_image_finish_read(&file, &white, image.pixels.data(), 0, nullptr) == 0)
    throw std::runtime_error(path + ": " + file.message);
  return image;
}

void write_png(const std::string& path, const Image& image) {
  png_image file{};
  file.version = PNG_IMAGE_VERSION;
  file.width = static_cast<png_uint_32>(image.width);
  file.height = static_cast<png_uint_32>(image.height);
  file.format = image.channels == 4 ? PNG_FORMAT_RGBA : image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (png_image_write_to_file(&file, path.c_str(), 0, image.pixels.data(), 0, nullptr) == 0)
    throw std::runtime_error(path + ": " + file.message);
}
