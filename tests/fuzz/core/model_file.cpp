// SPDX-License-Identifier: Apache-2.0
// Model files: a sound one with bytes changed, cut off and checksums put right, or any bytes at all. A file is refused
// with a ModelError, or its network compiles and runs.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/crc32.h"
#include "engine/model_file.h"
#include "fuzz/core/input.h"
#include "network/cpu/cpu_network.h"

namespace rmbg::fuzz {
namespace {

constexpr std::size_t kHeader = 32, kEntry = 48;

/// A small network with a layer of each kind.
std::vector<std::uint8_t> sound_file() {
  cpu::Graph graph({3, 9, 7});
  const auto conv = [&](int x, int cout, int kernel) {
    const auto count = static_cast<std::size_t>(cout * graph.shape(x).channels * kernel * kernel);
    return graph.conv(x, std::vector<float>(count, 0.01f), std::vector<float>(static_cast<std::size_t>(cout), 0.1f),
                      kernel, 1);
  };
  const int first = graph.relu(conv(0, 16, 3));
  const int small = conv(graph.max_pool(first), 16, 3);
  const int large = graph.resize(small, 9, 7, cpu::Coordinates::kAlignCorners);
  const int joined = graph.concat({graph.add(first, large), large});
  graph.set_output(graph.sigmoid(conv(joined, 1, 1)));
  const auto model = std::make_shared<cpu::CpuModel>(graph, cpu::Precision::kBf16);
  cpu::CpuNetwork network(model);
  std::vector<float> input(3 * 9 * 7, 0.5f), output(9 * 7);
  network.bind({input.data(), {1, 3, 9, 7}, DataType::kFloat32}, {output.data(), {1, 1, 9, 7}, DataType::kFloat32});
  return to_bytes(ModelFile{graph, {}, network.channel_means(), true});
}

template <typename Number>
Number at(const std::vector<std::uint8_t>& file, std::size_t offset) {
  Number value{};
  if (offset <= file.size() && file.size() - offset >= sizeof value)
    std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

void put(std::vector<std::uint8_t>& file, std::size_t offset, std::uint32_t value) {
  if (offset <= file.size() && file.size() - offset >= sizeof value)
    std::memcpy(file.data() + offset, &value, sizeof value);
}

/// So that changes reach what stands behind the checksums.
void put_checksums_right(std::vector<std::uint8_t>& file) {
  if (file.size() < kHeader) return;
  const auto sections = std::min<std::size_t>(at<std::uint32_t>(file, 12), (file.size() - kHeader) / kEntry);
  for (std::size_t i = 0; i < sections; ++i) {
    const std::size_t entry = kHeader + i * kEntry;
    const auto offset = at<std::uint64_t>(file, entry + 24), bytes = at<std::uint64_t>(file, entry + 32);
    if (offset <= file.size() && bytes <= file.size() - offset)
      put(file, entry + 20, crc32(file.data() + offset, static_cast<std::size_t>(bytes)));
  }
  put(file, 24, crc32(file.data() + kHeader, sections * kEntry));
  put(file, 28, crc32(file.data(), 28));
}

std::vector<std::uint8_t> changed_file(Input& in) {
  static const std::vector<std::uint8_t> sound = sound_file();
  std::vector<std::uint8_t> file = sound;
  const int changes = in.between(0, 8);
  for (int i = 0; i < changes; ++i) {
    // The first bytes are header, table and graph; the rest are mostly weights.
    const std::size_t reach = in.flag() ? std::min<std::size_t>(1024, file.size()) : file.size();
    const std::size_t place = in.take<std::uint32_t>() % reach;
    if (in.flag())
      put(file, place / 4 * 4, in.flag() ? in.take<std::uint32_t>() : in.take<std::uint8_t>());
    else
      file[place] = in.take<std::uint8_t>();
  }
  if (in.rarely()) file.resize(in.take<std::uint32_t>() % (2 * file.size()));
  if (!in.rarely()) {
    if (file.size() >= kHeader && in.flag()) put(file, 16, static_cast<std::uint32_t>(file.size()));
    put_checksums_right(file);
  }
  return file;
}

std::int64_t work(const cpu::Graph& graph) {
  std::int64_t values = 0;
  for (int i = 0; i < graph.values(); ++i) {
    const cpu::Shape& shape = graph.shape(i);
    values += static_cast<std::int64_t>(shape.channels) * shape.height * shape.width;
  }
  return values;
}

void run(const ModelFile& file, cpu::Precision precision) {
  const std::vector<float> none;
  const auto model =
      std::make_shared<cpu::CpuModel>(file.graph, precision, precision == cpu::Precision::kBf16 ? file.centres : none);
  cpu::CpuNetwork network(model);
  const TensorSpec &in = network.spec().input, &out = network.spec().output;
  std::vector<float> input(in.bytes() / sizeof(float), 0.25f), output(out.bytes() / sizeof(float));
  network.bind({input.data(), in.shape, DataType::kFloat32}, {output.data(), out.shape, DataType::kFloat32});
  network.enqueue({});
}

}  // namespace
}  // namespace rmbg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rmbg;
  fuzz::Input in(data, size);
  std::vector<std::uint8_t> file;
  if (in.rarely())
    file.assign(data, data + size);
  else
    file = fuzz::changed_file(in);
  const auto memory = std::make_shared<Buffer>(file.size() + 1);
  std::copy(file.begin(), file.end(), memory->as<std::uint8_t>());
  fuzz::accepted([&] {
    const ModelFile model = parse_model_file(memory->as<std::uint8_t>(), file.size(), memory);
    if (fuzz::work(model.graph) > 1 << 18) return;  // more takes time and finds nothing new
    fuzz::run(model, cpu::Precision::kFp32);
    if (!model.centres.empty()) fuzz::run(model, cpu::Precision::kBf16);
  });
  return 0;
}
