// SPDX-License-Identifier: Apache-2.0
// A network made of callables: how Python adapters plug in (the bindings add the GIL).
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "network/network.h"

namespace rmbg {

class CallbackNetwork : public Network {
 public:
  using Bind = std::function<void(const TensorView& input, const TensorView& output)>;
  using Enqueue = std::function<void(Stream stream)>;

  using Graph = std::function<void*()>;

  CallbackNetwork(NetworkSpec spec, Bind bind, Enqueue enqueue, bool capturable, Graph graph = nullptr,
                  std::string why_not_capturable = "")
      : spec_(std::move(spec)),
        bind_(std::move(bind)),
        enqueue_(std::move(enqueue)),
        capturable_(capturable),
        graph_(std::move(graph)),
        why_not_capturable_(std::move(why_not_capturable)) {}

  const NetworkSpec& spec() const override { return spec_; }
  void bind(const TensorView& input, const TensorView& output) override { bind_(input, output); }
  void enqueue(Stream stream) override { enqueue_(stream); }
  bool capturable() const override { return capturable_; }
  std::string why_not_capturable() const override {
    return why_not_capturable_.empty() ? Network::why_not_capturable() : why_not_capturable_;
  }
  void* graph() override { return graph_ ? graph_() : nullptr; }

 private:
  NetworkSpec spec_;
  Bind bind_;
  Enqueue enqueue_;
  bool capturable_;
  Graph graph_;
  std::string why_not_capturable_;
};

}  // namespace rmbg
