// SPDX-License-Identifier: Apache-2.0
// Non-owning views of images: the input and output of every stage.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rmbg {

/// 8 bits a channel, channels interleaved in the order of the name.
enum class PixelFormat { kGray8, kBgr8, kRgb8, kBgra8, kRgba8 };

constexpr int channels(PixelFormat format) {
  return format == PixelFormat::kGray8 ? 1 : format == PixelFormat::kBgr8 || format == PixelFormat::kRgb8 ? 3 : 4;
}

/// The byte of a pixel that holds colour c (0 red, 1 green, 2 blue). Gray has one byte for all three.
constexpr int channel_offset(PixelFormat format, int c) {
  if (format == PixelFormat::kGray8) return 0;
  return format == PixelFormat::kBgr8 || format == PixelFormat::kBgra8 ? 2 - c : c;
}

/// Rows of `width` pixels, `pitch_bytes` apart (at least width * channels), in any memory.
template <typename Byte>
struct BasicImageView {
  Byte* data = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t pitch_bytes = 0;
  PixelFormat format = PixelFormat::kGray8;

  Byte* row(int y) const { return data + y * pitch_bytes; }
};

using ImageView = BasicImageView<std::uint8_t>;
using ConstImageView = BasicImageView<const std::uint8_t>;

constexpr std::ptrdiff_t row_bytes(int width, PixelFormat format) {
  return static_cast<std::ptrdiff_t>(width) * channels(format);
}

/// From an image's first byte to its last, without the padding after the last row.
template <typename Byte>
std::size_t extent_bytes(const BasicImageView<Byte>& view) {
  return static_cast<std::size_t>((view.height - 1) * view.pitch_bytes + row_bytes(view.width, view.format));
}

/// The pitch of rows of so many bytes in our own GPU memory: 16-byte aligned.
constexpr std::ptrdiff_t padded_row_bytes(std::ptrdiff_t bytes) { return (bytes + 15) / 16 * 16; }

/// Whether rows can be read or written in 4-byte words.
inline bool word_aligned(const void* data, std::ptrdiff_t pitch_bytes) {
  return (reinterpret_cast<std::uintptr_t>(data) | static_cast<std::uintptr_t>(pitch_bytes)) % 4 == 0;
}

}  // namespace rmbg
