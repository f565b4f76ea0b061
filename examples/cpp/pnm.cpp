// SPDX-License-Identifier: Apache-2.0
// The formats of netpbm: https://netpbm.sourceforge.net/doc/ppm.html and pam.html.
#include <fstream>
#include <stdexcept>

#include "image.h"

namespace {

constexpr int kLargestSide = 1 << 15;

/// The next number of a header; comments run from # to the end of the line.
int number(std::istream& file) {
  while (file >> std::ws && file.peek() == '#') file.ignore(1 << 20, '\n');
  int value = 0;
  file >> value;
  return value;
}

}  // namespace

Image read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  file >> magic;
  if (magic != "P6") throw std::runtime_error(path + ": not a binary PPM file (P6)");
  const int width = number(file), height = number(file), largest = number(file);
  if (!file || width < 1 || height < 1 || width > kLargestSide || height > kLargestSide || largest != 255)
    throw std::runtime_error(path + ": expected a PPM file with sides up to 32768 and values up to 255");
  file.get();  // the one blank after the header
  Image image(width, height, 3);
  file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  if (!file) throw std::runtime_error(path + ": the file ends early");
  return image;
}

void write_pam(const std::string& path, const Image& image) {
  std::ofstream file(path, std::ios::binary);
  if (image.channels == 1)
    file << "P5\n" << image.width << " " << image.height << "\n255\n";
  else
    file << "P7\nWIDTH " << image.width << "\nHEIGHT " << image.height << "\nDEPTH " << image.channels
         << "\nMAXVAL 255\nTUPLTYPE " << (image.channels == 4 ? "RGB_ALPHA" : "RGB") << "\nENDHDR\n";
  file.write(reinterpret_cast<const char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  file.close();
  if (!file) throw std::runtime_error(path + ": could not be written");
}
