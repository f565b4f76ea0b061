// SPDX-License-Identifier: Apache-2.0
// Drives a target where the compiler has no libFuzzer (GCC): the files it is given, then, for so many seconds, random
// bytes and changed copies of the files. It does not measure coverage, so Clang's libFuzzer finds more.
//   frames_fuzz [-max_total_time=SECONDS] [-seed=N] [FILE or FOLDER ...]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/core/input.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Bytes> corpus(const std::vector<std::filesystem::path>& paths) {
  std::vector<Bytes> inputs;
  for (const auto& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      inputs.push_back(read(path));
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
      if (entry.is_regular_file()) inputs.push_back(read(entry.path()));
  }
  return inputs;
}

Bytes changed(std::mt19937& random, const std::vector<Bytes>& inputs) {
  Bytes bytes(random() % 400);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  if (inputs.empty() || random() % 2 == 0) return bytes;
  Bytes copy = inputs[random() % inputs.size()];
  for (std::uint32_t i = 0; i < 1 + random() % 8 && !copy.empty(); ++i)
    copy[random() % copy.size()] = static_cast<std::uint8_t>(random());
  return copy;
}

/// Saves each input to a file before it runs, so that the input of a crash can be examined.
void run(const Bytes& bytes) {
  std::ofstream("last-input", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 0;
  unsigned seed = 1;
  std::vector<std::filesystem::path> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("-max_total_time=", 0) == 0)
      seconds = std::stod(argument.substr(16));
    else if (argument.rfind("-seed=", 0) == 0)
      seed = static_cast<unsigned>(std::stoul(argument.substr(6)));
    else
      paths.emplace_back(argument);
  }
  const std::vector<Bytes> inputs = corpus(paths);
  for (const Bytes& bytes : inputs) run(bytes);
  std::size_t runs = inputs.size();
  std::mt19937 random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (; std::chrono::steady_clock::now() < end; ++runs) run(changed(random, inputs));
  std::printf("%zu inputs, none crashed\n", runs);
  return 0;
}
