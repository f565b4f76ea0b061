// SPDX-License-Identifier: Apache-2.0
// The sections "recipe" and "centres", and the limits of what a file may ask for.
#include "engine/model_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "engine/graph_bytes.h"
#include "engine/sections.h"
#include "network/cpu/plan.h"

namespace rmbg {
namespace {

constexpr int kLargestSide = 4096;
constexpr std::size_t kLargestArena = std::size_t{16} << 30;  // bytes of activations
constexpr std::size_t kMostCentres = 1 << 22;
constexpr std::uint32_t kKeepsMattes = 1;

constexpr ResampleFilter kFilters[] = {ResampleFilter::kLanczos, ResampleFilter::kBilinear, ResampleFilter::kBox};
constexpr Stretch kStretches[] = {Stretch::kMinMax, Stretch::kFixed};

/// The section "recipe". The image is divided by its maximum (0), then normalized. Colours are red, green, blue.
struct RecipeBytes {
  double mean[3], std[3];  // for values in 0..1
  std::uint32_t divide_by, filter, stretch;
  float low, high;  // of the range that is stretched, unless it is each matte's own
  std::uint32_t zero;
};
static_assert(sizeof(RecipeBytes) == 72, "the layout of the file");

/// What the section "centres" begins with; float32 values follow.
struct CentresHeader {
  std::uint32_t format, flags;
};

[[noreturn]] void refuse(const std::string& reason) { throw ModelError(reason + "; export the model again"); }

template <typename T, std::size_t kCount>
T choice(const char* what, const T (&values)[kCount], std::uint32_t index) {
  if (index >= kCount) refuse(std::string("has a wrong recipe: ") + what + " is " + std::to_string(index));
  return values[index];
}

template <typename T, std::size_t kCount>
std::uint32_t index_of(const T (&values)[kCount], T value) {
  return static_cast<std::uint32_t>(std::find(values, values + kCount, value) - values);
}

RecipeBytes to_bytes(const PipelineOptions& recipe) {
  RecipeBytes bytes{};
  for (std::size_t i = 0; i < 3; ++i) {
    bytes.mean[i] = recipe.normalization[i].mean;
    bytes.std[i] = recipe.normalization[i].std;
  }
  bytes.filter = index_of(kFilters, recipe.filter);
  bytes.stretch = index_of(kStretches, recipe.stretch);
  bytes.low = recipe.range.min;
  bytes.high = recipe.range.max;
  return bytes;
}

PipelineOptions read_recipe(const Section& section) {
  RecipeBytes bytes{};
  if (section.bytes != sizeof bytes)
    refuse("has a recipe of " + std::to_string(section.bytes) + " bytes; expected " + std::to_string(sizeof bytes));
  std::memcpy(&bytes, section.data, sizeof bytes);
  PipelineOptions recipe;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!std::isfinite(bytes.mean[i]) || !(bytes.std[i] >= 1e-6 && bytes.std[i] <= 1e6))
      refuse("has a wrong recipe: mean " + std::to_string(bytes.mean[i]) + ", std " + std::to_string(bytes.std[i]));
    recipe.normalization[i] = {bytes.mean[i], bytes.std[i]};
  }
  if (bytes.divide_by != 0) refuse("has a recipe that divides images by something else than their maximum");
  recipe.filter = choice("filter", kFilters, bytes.filter);
  recipe.stretch = choice("stretch", kStretches, bytes.stretch);
  if (!(bytes.low >= 0 && bytes.low < bytes.high && bytes.high <= 1))
    refuse("has a wrong recipe: it stretches " + std::to_string(bytes.low) + " to " + std::to_string(bytes.high) +
           "; expected 0 <= low < high <= 1");
  recipe.range = {bytes.low, bytes.high};
  return recipe;
}

void read_centres(const Section& section, ModelFile& model) {
  CentresHeader header{};
  if (section.bytes < sizeof header || (section.bytes - sizeof header) / sizeof(float) > kMostCentres ||
      section.bytes % sizeof(float) != 0)
    refuse("has a section of centres of " + std::to_string(section.bytes) + " bytes");
  std::memcpy(&header, section.data, sizeof header);
  if (header.format != kCentresFormat) return;  // of another version: as if there were none
  model.centres.resize((section.bytes - sizeof header) / sizeof(float));
  std::memcpy(model.centres.data(), section.data + sizeof header, model.centres.size() * sizeof(float));
  if (!std::all_of(model.centres.begin(), model.centres.end(), [](float centre) { return std::isfinite(centre); }))
    refuse("has centres that are NaN or Inf");
  model.keeps_mattes = (header.flags & kKeepsMattes) != 0;
}

/// Throws std::invalid_argument unless it is an image-to-matte network of a sensible size.
void check(const cpu::Graph& graph) {
  const cpu::Shape &in = graph.shape(0), &out = graph.shape(graph.output());
  if (in.channels != 3 || out.channels != 1)
    throw std::invalid_argument("maps " + to_string(in) + " to " + to_string(out) +
                                "; expected (3, height, width) to (1, height, width)");
  for (const int side : {in.height, in.width, out.height, out.width})
    if (side > kLargestSide)
      throw std::invalid_argument("maps " + to_string(in) + " to " + to_string(out) + "; expected sides up to " +
                                  std::to_string(kLargestSide));
}

void check_memory(const cpu::Graph& graph, cpu::Precision precision) {
  const std::size_t bytes = make_plan(graph, precision).arena_bytes;
  if (bytes > kLargestArena)
    throw std::invalid_argument("needs " + std::to_string(bytes >> 30) +
                                " GiB for its activations; expected at most 16: export it for a smaller size");
}

}  // namespace

std::vector<std::uint8_t> to_bytes(const ModelFile& model) {
  const GraphBytes graph = to_bytes(model.graph);
  check(model.graph);
  const RecipeBytes recipe = to_bytes(model.recipe);
  std::vector<Section> sections{{"graph", graph.graph.data(), graph.graph.size()},
                                {"recipe", reinterpret_cast<const std::uint8_t*>(&recipe), sizeof recipe},
                                {"weights", graph.weights.data(), graph.weights.size()}};
  std::vector<std::uint8_t> centres;
  if (!model.centres.empty()) {
    const CentresHeader header{kCentresFormat, model.keeps_mattes ? kKeepsMattes : 0};
    centres.resize(sizeof header + model.centres.size() * sizeof(float));
    std::memcpy(centres.data(), &header, sizeof header);
    std::memcpy(centres.data() + sizeof header, model.centres.data(), model.centres.size() * sizeof(float));
    sections.push_back({"centres", centres.data(), centres.size(), false});
  }
  return write_sections(sections);
}

ModelFile parse_model_file(const std::uint8_t* data, std::size_t bytes, std::shared_ptr<const void> owner) {
  const Sections sections(data, bytes, {"graph", "recipe", "weights", "centres"});
  const PipelineOptions recipe = read_recipe(sections.get("recipe"));
  ModelFile model{read_graph(sections.get("graph"), sections.get("weights"), std::move(owner)), recipe};
  if (const Section* centres = sections.find("centres")) read_centres(*centres, model);
  try {
    check(model.graph);
    check_memory(model.graph, cpu::Precision::kFp32);
    if (!model.centres.empty()) check_memory(model.graph, cpu::Precision::kBf16);
  } catch (const std::invalid_argument& error) {
    throw ModelError(error.what());
  }
  return model;
}

ModelFile read_model_file(const std::string& path) {
  const MappedFile file = map_file(path);
  try {
    return parse_model_file(file.data.get(), file.bytes, file.data);
  } catch (const ModelError& error) {
    throw ModelError(path + ": " + error.what());
  }
}

}  // namespace rmbg
