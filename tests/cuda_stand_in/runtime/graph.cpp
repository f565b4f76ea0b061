// SPDX-License-Identifier: Apache-2.0
#include "runtime/graph.h"

#include <utility>

#include "runtime/call.h"
#include "runtime/handles.h"
#include "runtime/settings.h"

namespace stand_in {
namespace {

/// Work with an order; what has none between it runs as RMBG_STAND_IN_ORDER says.
class RunWork : public Work {
 public:
  struct Part {
    WorkPointer work;
    std::vector<std::size_t> after;
  };

  explicit RunWork(std::vector<Part> parts) : parts_(std::move(parts)) {}

  void run() const override {
    std::vector<bool> done(parts_.size(), false);
    for (std::size_t count = 0; count < parts_.size(); ++count) {
      std::vector<std::size_t> ready;
      for (std::size_t i = 0; i < parts_.size(); ++i)
        if (!done[i] && is_ready(parts_[i], done)) ready.push_back(i);
      const std::size_t next = ready[Permutation(ready.size()).next()];
      if (lost() == cudaSuccess) {
        parts_[next].work->run();
      } else {
        parts_[next].work->skip();
      }
      done[next] = true;
    }
  }

  void skip() const override {
    for (const Part& part : parts_) part.work->skip();
  }

 private:
  static bool is_ready(const Part& part, const std::vector<bool>& done) {
    for (const std::size_t i : part.after)
      if (!done[i]) return false;
    return true;
  }

  std::vector<Part> parts_;
};

WorkPointer work_of(const Step& step, CUstream_st& stream) {
  if (step.work != nullptr) return step.work;
  if (step.child != nullptr) return make_run(*step.child, stream);
  if (!live<CUevent_st>().has(step.event)) return nullptr;
  step.event->mark = std::make_shared<Mark>(&stream);
  step.event->captured_by = 0;
  step.event->asked = false;
  return std::make_shared<MarkWork>(step.event->mark);
}

}  // namespace

WorkPointer make_run(const Plan& plan, CUstream_st& stream) {
  std::vector<RunWork::Part> parts;
  for (const Step& step : plan) {
    parts.push_back({work_of(step, stream), step.after});
    if (parts.back().work == nullptr) return nullptr;
  }
  return std::make_shared<RunWork>(std::move(parts));
}

}  // namespace stand_in

using stand_in::live;

CUgraph_st::~CUgraph_st() {
  for (CUgraphNode_st* node : nodes) live<CUgraphNode_st>().remove(node);
}

CUgraphNode_st* CUgraph_st::add(stand_in::Step step) {
  plan.push_back(std::move(step));
  static unsigned long latest_id = 0;
  const CUgraphNode_st node{this, nodes.size(), ++latest_id};
  nodes.push_back(live<CUgraphNode_st>().add(std::make_unique<CUgraphNode_st>(node)));
  return nodes.back();
}
