// SPDX-License-Identifier: Apache-2.0
// Every number of the file is checked before it is used, by comparisons that cannot overflow.
#include "engine/sections.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/crc32.h"
#include "core/error.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are little-endian, and this code reads their numbers as they are"
#endif

namespace rmbg {
namespace {

constexpr std::uint8_t kMagic[8] = {0x89, 'R', 'M', 'B', 'G', '\r', '\n', 0x1a};
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMostSections = 64;
constexpr std::uint32_t kRequired = 1;
constexpr std::size_t kNameBytes = 16;

struct Header {
  std::uint8_t magic[8];
  std::uint32_t version, sections;
  std::uint64_t file_bytes;
  std::uint32_t table_checksum, header_checksum;
};
constexpr std::size_t kCheckedBytes = offsetof(Header, header_checksum);

struct Entry {
  char name[kNameBytes];
  std::uint32_t flags, checksum;
  std::uint64_t offset, bytes, zero;
};
static_assert(sizeof(Header) == 32 && sizeof(Entry) == 48, "the layout of the file");

constexpr const char* kAgain = "; copy the file again, or export the model again (rmbg-trt export --native)";

[[noreturn]] void refuse(const std::string& reason) { throw ModelError(reason + kAgain); }

std::size_t aligned(std::size_t bytes) {
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

Header read_header(const std::uint8_t* data, std::size_t bytes) {
  Header header{};
  if (bytes < sizeof header)
    refuse("has " + std::to_string(bytes) + " bytes; a model file has at least " + std::to_string(sizeof header));
  std::memcpy(&header, data, sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    throw ModelError(
        "is no rmbg-trt model file, or was damaged by a transfer as text; rmbg-trt export --native makes one");
  if (header.version != kVersion)
    throw ModelError("has version " + std::to_string(header.version) + "; this rmbg-trt reads version " +
                     std::to_string(kVersion) + ". Export the model again with this rmbg-trt, or use a newer one");
  if (header.header_checksum != crc32(data, kCheckedBytes)) refuse("has a damaged header (wrong checksum)");
  if (header.file_bytes != bytes)
    refuse("has " + std::to_string(bytes) + " bytes; its header says " + std::to_string(header.file_bytes));
  if (header.sections < 1 || header.sections > kMostSections)
    refuse("has " + std::to_string(header.sections) + " sections; expected 1 to " + std::to_string(kMostSections));
  if (bytes - sizeof header < header.sections * sizeof(Entry)) refuse("ends within its table of sections");
  if (header.table_checksum != crc32(data + sizeof header, header.sections * sizeof(Entry)))
    refuse("has a damaged table of sections (wrong checksum)");
  return header;
}

Section read_entry(const Entry& entry, const std::uint8_t* data, std::size_t first, std::size_t bytes) {
  const std::string name(entry.name, std::find(entry.name, entry.name + kNameBytes, '\0'));
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
  if (name.empty() || !printable) refuse("has a section without a proper name");
  if (entry.offset % kSectionAlignment != 0 || entry.offset < first || entry.offset > bytes ||
      entry.bytes > bytes - entry.offset)
    refuse("has a section '" + name + "' at byte " + std::to_string(entry.offset) + " of " +
           std::to_string(entry.bytes) + " bytes, which does not fit a file of " + std::to_string(bytes));
  return {name, data + entry.offset, static_cast<std::size_t>(entry.bytes), (entry.flags & kRequired) != 0,
          entry.checksum};
}

}  // namespace

std::vector<std::uint8_t> write_sections(const std::vector<Section>& sections) {
  std::size_t end = sizeof(Header) + sections.size() * sizeof(Entry);
  std::vector<Entry> entries;
  for (const Section& section : sections) {
    if (section.name.empty() || section.name.size() > kNameBytes)
      throw std::invalid_argument("a section is called '" + section.name + "'; expected 1 to 16 characters");
    Entry entry{};
    std::copy(section.name.begin(), section.name.end(), entry.name);
    entry.flags = section.required ? kRequired : 0;
    entry.checksum = crc32(section.data, section.bytes);
    entry.offset = aligned(end);
    entry.bytes = section.bytes;
    end = static_cast<std::size_t>(entry.offset) + section.bytes;
    entries.push_back(entry);
  }
  Header header{};
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.version = kVersion;
  header.sections = static_cast<std::uint32_t>(sections.size());
  header.file_bytes = end;
  header.table_checksum = crc32(entries.data(), entries.size() * sizeof(Entry));
  header.header_checksum = crc32(&header, kCheckedBytes);
  std::vector<std::uint8_t> file(end);
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, entries.data(), entries.size() * sizeof(Entry));
  for (std::size_t i = 0; i < sections.size(); ++i)
    std::copy_n(sections[i].data, sections[i].bytes, file.data() + entries[i].offset);
  return file;
}

Sections::Sections(const std::uint8_t* data, std::size_t bytes, const std::vector<std::string>& known) {
  const Header header = read_header(data, bytes);
  const std::size_t first = sizeof header + header.sections * sizeof(Entry);
  for (std::uint32_t i = 0; i < header.sections; ++i) {
    Entry entry{};
    std::memcpy(&entry, data + sizeof header + i * sizeof entry, sizeof entry);
    Section section = read_entry(entry, data, first, bytes);
    for (const Section& other : sections_)
      if (other.name == section.name) refuse("has two sections '" + section.name + "'");
    if (section.required && std::find(known.begin(), known.end(), section.name) == known.end())
      throw ModelError("needs the section '" + section.name + "', which this rmbg-trt does not know; use a newer one");
    sections_.push_back(std::move(section));
  }
}

const Section* Sections::find(const std::string& name) const {
  for (const Section& section : sections_) {
    if (section.name != name) continue;
    if (crc32(section.data, section.bytes) != section.checksum)
      refuse("has a damaged section '" + name + "' (wrong checksum)");
    return &section;
  }
  return nullptr;
}

const Section& Sections::get(const std::string& name) const {
  const Section* section = find(name);
  if (section == nullptr) refuse("has no section '" + name + "'");
  return *section;
}

}  // namespace rmbg
