// SPDX-License-Identifier: Apache-2.0
// Graphs of any layers, sound or not, compiled and run in fp32 and bf16. What the graph accepts must compile and run.
#include <memory>
#include <numeric>
#include <vector>

#include "fuzz/core/input.h"
#include "network/cpu/cpu_network.h"

namespace rmbg::fuzz {
namespace {

constexpr std::int64_t kLargest = 1 << 14;  // values of a tensor: more finds nothing new, and costs time

std::vector<float> weights(Input& in, std::size_t count) {
  std::vector<float> values(count);
  const float scale = in.rarely() ? in.any_float() : 0.05f;
  std::uint32_t state = in.take<std::uint32_t>();
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = (static_cast<float>(state >> 8) / 8388608.0f - 1.0f) * scale;
  }
  return values;
}

void add_conv(Input& in, cpu::Graph& graph, int x) {
  const int kernel = in.rarely() ? in.between(0, 5) : in.flag() ? 1 : 3;
  const auto cout = static_cast<std::size_t>(in.between(in.rarely() ? 0 : 1, 70));
  const auto cin = static_cast<std::size_t>(x >= 0 && x < graph.values() ? graph.shape(x).channels : 1);
  const std::size_t count = cout * cin * static_cast<std::size_t>(kernel * kernel) + (in.rarely() ? 1 : 0);
  graph.conv(x, weights(in, count), weights(in, cout), kernel, in.between(in.rarely() ? -1 : 1, 12));
}

void add_layer(Input& in, cpu::Graph& graph) {
  const auto value = [&] {
    return in.rarely() ? in.between(-2, 60) : graph.values() - 1 - in.between(0, 200) % graph.values();
  };
  switch (in.between(0, 7)) {
    case 0:
    case 1:
      add_conv(in, graph, value());
      break;
    case 2:
      graph.max_pool(value());
      break;
    case 3: {
      std::vector<int> values(static_cast<std::size_t>(in.between(in.rarely() ? 0 : 1, 4)));
      for (int& each : values) each = value();
      graph.concat(values);
      break;
    }
    case 4: {
      const int low = in.rarely() ? -1 : 1;
      const int height = in.between(low, 24), width = in.between(low, 24);
      graph.resize(value(), height, width, static_cast<cpu::Coordinates>(in.between(0, 2)));
      break;
    }
    case 5:
      graph.add(value(), value());
      break;
    case 6:
      graph.relu(value());
      break;
    default:
      graph.sigmoid(value());
  }
}

std::int64_t elements(const cpu::Shape& shape) {
  return static_cast<std::int64_t>(shape.channels) * shape.height * shape.width;
}

void run(const cpu::Graph& graph, cpu::Precision precision) {
  const auto model = std::make_shared<cpu::CpuModel>(graph, precision);
  cpu::CpuNetwork network(model);
  const TensorSpec &in = network.spec().input, &out = network.spec().output;
  std::vector<float> input(in.bytes() / sizeof(float)), output(out.bytes() / sizeof(float));
  std::iota(input.begin(), input.end(), -2.0f);
  network.bind({input.data(), in.shape, DataType::kFloat32}, {output.data(), out.shape, DataType::kFloat32});
  network.enqueue({});
  if (precision == cpu::Precision::kBf16) {
    const std::vector<float> means = network.channel_means();
    cpu::CpuModel centred(graph, precision, means);
  }
}

}  // namespace
}  // namespace rmbg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rmbg;
  fuzz::Input in(data, size);
  const int low = in.rarely() ? 0 : 1;
  const cpu::Shape shape{in.between(low, 5), in.between(low, 24), in.between(low, 24)};
  fuzz::accepted([&] {
    cpu::Graph graph(shape);
    const int layers = in.between(1, 14);
    for (int i = 0; i < layers; ++i) {
      fuzz::accepted([&] { fuzz::add_layer(in, graph); });
      if (fuzz::elements(graph.shape(graph.values() - 1)) > fuzz::kLargest) return;
    }
    if (!in.rarely()) graph.set_output(graph.values() - 1);
    fuzz::run(graph, cpu::Precision::kFp32);
    fuzz::run(graph, cpu::Precision::kBf16);
  });
  return 0;
}
