// SPDX-License-Identifier: Apache-2.0
// Eight bytes a step with eight tables ("slicing-by-8": Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
// High-Performance CRC Generation", 2008).
#include "core/crc32.h"

#include <array>
#include <cstring>

namespace rmbg {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0xedb88320u : 0u);
    tables[0][byte] = value;
  }
  for (std::size_t t = 1; t < 8; ++t)  // tables[t]: the byte, followed by t zero bytes
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[t - 1][byte];
      tables[t][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  return tables;
}

}  // namespace

std::uint32_t crc32(const void* data, std::size_t bytes) {
  static const Tables tables = make_tables();  // 8 KB that the binary need not hold
  const auto* next = static_cast<const std::uint8_t*>(data);
  std::uint32_t crc = ~0u;
  for (; bytes >= 8; bytes -= 8, next += 8) {
    std::uint32_t low, high;  // sections.cpp refuses to compile for a big-endian machine
    std::memcpy(&low, next, 4);
    std::memcpy(&high, next + 4, 4);
    low ^= crc;
    crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
          tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
  }
  for (; bytes > 0; --bytes, ++next) crc = (crc >> 8) ^ tables[0][(crc ^ *next) & 255];
  return ~crc;
}

}  // namespace rmbg
