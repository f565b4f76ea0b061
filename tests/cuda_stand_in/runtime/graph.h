// SPDX-License-Identifier: Apache-2.0
// Graphs: work with an order between its parts, kept to be run many times.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "runtime/stream.h"

namespace stand_in {

struct Step;
using Plan = std::vector<Step>;

/// One of work, event and child is set: what a node does.
struct Step {
  WorkPointer work;
  cudaEvent_t event = nullptr;
  std::shared_ptr<const Plan> child;
  std::vector<std::size_t> after;  // places in the plan of the steps that come before it
};

/// One run of a plan on a stream, with all it needs: changes of the plan leave it alone. Events that it records are
/// from now on marked by it. nullptr where one of them was destroyed.
WorkPointer make_run(const Plan& plan, CUstream_st& stream);

}  // namespace stand_in

struct CUgraphNode_st {
  CUgraph_st* graph;
  std::size_t place;  // in the plan
  unsigned long id;   // never given twice, other than addresses
};

struct CUgraph_st {
  ~CUgraph_st();
  /// Adds a step behind those that it names.
  CUgraphNode_st* add(stand_in::Step step);

  stand_in::Plan plan;
  std::vector<CUgraphNode_st*> nodes;
};

struct CUgraphExec_st {
  stand_in::Plan plan;
  std::unordered_map<unsigned long, std::size_t> places;  // of the nodes it was made from, by their ids
  std::shared_ptr<stand_in::Mark> latest;                 // behind its latest run
};
