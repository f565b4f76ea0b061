// SPDX-License-Identifier: Apache-2.0
// The container of a model file: named sections, each with its size and checksum. Little-endian:
//
//   0   magic: 89 'R' 'M' 'B' 'G' '\r' '\n' 1A (the transfers that break PNG files break it, too)
//   8   u32 version (1), u32 number of sections
//   16  u64 size of the file
//   24  u32 CRC-32 of the table, u32 CRC-32 of bytes 0 to 27
//   32  the table, 48 bytes a section: name (16 bytes, filled with zeros), u32 flags (1: a reader that does not know
//   the
//       section must refuse the file), u32 CRC-32, u64 offset, u64 size, u64 zero
//   ... the sections, each at a multiple of 64 bytes
//
// A later version of rmbg-trt may add sections. Readers skip those that they do not know, unless the flag forbids it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rmbg {

constexpr std::size_t kSectionAlignment = 64;

/// A run of bytes in a file, or to be written to one.
struct Section {
  std::string name;  // 1 to 16 characters
  const std::uint8_t* data = nullptr;
  std::size_t bytes = 0;
  bool required = true;  // by readers
  std::uint32_t checksum = 0;
};

/// The file of these sections. Throws std::invalid_argument for a name that does not fit.
std::vector<std::uint8_t> write_sections(const std::vector<Section>& sections);

/// The sections of a file, which is not trusted. They point into it.
class Sections {
 public:
  /// data: 64-byte aligned. `known`: the names that the caller reads. Throws ModelError.
  Sections(const std::uint8_t* data, std::size_t bytes, const std::vector<std::string>& known);

  /// The section, its checksum verified, or nullptr. Throws ModelError if it is damaged.
  const Section* find(const std::string& name) const;
  /// The same; throws ModelError if there is none.
  const Section& get(const std::string& name) const;

 private:
  std::vector<Section> sections_;
};

}  // namespace rmbg
