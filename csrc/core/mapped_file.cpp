// SPDX-License-Identifier: Apache-2.0
// mmap on POSIX, one read elsewhere.
#include "core/mapped_file.h"

#include <cerrno>
#include <cstring>

#include "core/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#include <fstream>

#include "core/buffer.h"
#endif

namespace rmbg {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw ModelError(path + ": cannot be read: " + reason);
}

}  // namespace

#if defined(__unix__) || defined(__APPLE__)

MappedFile map_file(const std::string& path) {
  struct Descriptor {
    int number;
    ~Descriptor() {
      if (number >= 0) ::close(number);
    }
  };
  // Non-blocking, or opening a named pipe would wait for its writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status{};
  if (file.number < 0 || ::fstat(file.number, &status) != 0) refuse(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a file");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) return {};
  void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (data == MAP_FAILED) refuse(path, std::strerror(errno));
  const auto unmap = [bytes](const std::uint8_t* mapped) { ::munmap(const_cast<std::uint8_t*>(mapped), bytes); };
  return {std::shared_ptr<const std::uint8_t>(static_cast<const std::uint8_t*>(data), unmap), bytes};
}

#else

MappedFile map_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff end = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (end < 0) refuse(path, "there is no such file");
  const auto bytes = static_cast<std::size_t>(end);
  if (bytes == 0) return {};
  const auto memory = std::make_shared<Buffer>(bytes);
  file.seekg(0);
  if (!file.read(memory->as<char>(), static_cast<std::streamsize>(bytes))) refuse(path, "it ends early");
  return {std::shared_ptr<const std::uint8_t>(memory, memory->as<const std::uint8_t>()), bytes};
}

#endif

}  // namespace rmbg
