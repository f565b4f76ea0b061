// SPDX-License-Identifier: Apache-2.0
// A file's bytes, read-only: mapped into memory where the system can, read into memory elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rmbg {

/// At least 64-byte aligned. As with any mapping, a file that another program shortens meanwhile ends this one: replace
/// files by renaming, as our writer does.
struct MappedFile {
  std::shared_ptr<const std::uint8_t> data;  // keeps the mapping; nullptr for an empty file
  std::size_t bytes = 0;
};

/// Throws ModelError, whose message begins with the path, if it is no readable, regular file.
MappedFile map_file(const std::string& path);

}  // namespace rmbg
