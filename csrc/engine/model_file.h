// SPDX-License-Identifier: Apache-2.0
// A model as one flat file (".rmbg"): the CPU network's graph and weights, what surrounds the network, and tables of
// its reduced precisions. It is mapped into memory, and validated before use like any input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "network/cpu/graph.h"
#include "pipeline/frame_job.h"

namespace rmbg {

struct ModelFile {
  cpu::Graph graph;        // with its output set; maps (3, H, W) to (1, h, w)
  PipelineOptions recipe;  // normalization, filter and stretch; the device is not part of a file
  // For bf16, or empty: the centres of activations (network/cpu/centres.h), in an order that kCentresFormat names.
  std::vector<float> centres{};
  bool keeps_mattes = false;  // in bf16, as found by the export on photographs
};

/// Changes whenever another set of activations, or another order, has centres: files of before are then without.
constexpr std::uint32_t kCentresFormat = 1;

/// The bytes of a file. Throws std::invalid_argument for a graph that is no image-to-matte network.
std::vector<std::uint8_t> to_bytes(const ModelFile& model);

/// Reads a file. The graph's weights lie in the mapping. Throws ModelError, whose message begins with the path.
ModelFile read_model_file(const std::string& path);

/// The same from memory (64-byte aligned) that `owner` keeps; messages come without a path.
ModelFile parse_model_file(const std::uint8_t* data, std::size_t bytes, std::shared_ptr<const void> owner);

}  // namespace rmbg
