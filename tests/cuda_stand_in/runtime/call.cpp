// SPDX-License-Identifier: Apache-2.0
#include "runtime/call.h"

#include <map>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "runtime/graph.h"
#include "runtime/handles.h"
#include "runtime/memory.h"
#include "runtime/settings.h"
#include "runtime/stream.h"
#include "runtime/work.h"
#include "stand_in.h"

namespace stand_in {
namespace {

struct Failure {
  int after;
  cudaError_t error;
};

struct Calls {
  std::mutex mutex;
  std::map<std::string, long> counts;
  std::map<std::string, std::vector<Failure>> failures;
  cudaError_t lost = cudaSuccess;
};

Calls& calls() {
  static auto* const all = new Calls;
  return *all;
}

thread_local cudaError_t last_error = cudaSuccess;

bool is_fatal(cudaError_t error) {
  return (error >= cudaErrorIllegalAddress && error <= cudaErrorLaunchFailure &&
          error != cudaErrorLaunchOutOfResources) ||
         error == cudaErrorECCUncorrectable;
}

cudaError_t requested_failure(const char* name) {
  std::vector<Failure>& failures = calls().failures[name];
  cudaError_t error = cudaSuccess;
  for (auto it = failures.begin(); it != failures.end();) {
    if (it->after-- > 0) {
      ++it;
    } else {
      error = it->error;
      it = failures.erase(it);
    }
  }
  return error;
}

}  // namespace

std::mutex& runtime_mutex() { return calls().mutex; }

void lose_device(cudaError_t error) {
  if (calls().lost == cudaSuccess) calls().lost = error;
}

cudaError_t lost() { return calls().lost; }

cudaError_t begin_call(const char* name) {
  ++calls().counts[name];
  if (lost() != cudaSuccess) return lost();
  const cudaError_t error = requested_failure(name);
  if (is_fatal(error)) lose_device(error);
  if (error != cudaSuccess) return error;
  return device_count() == 0 ? cudaErrorInsufficientDriver : cudaSuccess;
}

cudaError_t end_call(cudaError_t error) {
  if (error == cudaSuccess) error = lost();  // found while the call did its work
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace stand_in

using namespace stand_in;

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(runtime_mutex());
  return lost() != cudaSuccess ? lost() : last_error;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define RMBG_STAND_IN_NAME(name, number, text) \
  case name:                                   \
    return #name;
    RMBG_STAND_IN_ERRORS(RMBG_STAND_IN_NAME)
#undef RMBG_STAND_IN_NAME
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define RMBG_STAND_IN_TEXT(name, number, text) \
  case name:                                   \
    return text;
    RMBG_STAND_IN_ERRORS(RMBG_STAND_IN_TEXT)
#undef RMBG_STAND_IN_TEXT
  }
  return "unrecognized error code";
}

int rmbg_stand_in_fail(const char* call, int after, int error) {
  if (call == nullptr || after < 0 || error == cudaSuccess) return 1;
  const std::lock_guard lock(runtime_mutex());
  calls().failures[call].push_back({after, static_cast<cudaError_t>(error)});
  return 0;
}

void rmbg_stand_in_reset() {
  const std::lock_guard lock(runtime_mutex());
  if (lost() != cudaSuccess) finish_all();  // which skips it
  calls().counts.clear();
  calls().failures.clear();
  calls().lost = cudaSuccess;
  fresh_bytes_copied() = 0;
  last_error = cudaSuccess;
}

long rmbg_stand_in_calls(const char* call) {
  const std::lock_guard lock(runtime_mutex());
  const auto found = calls().counts.find(call);
  return found == calls().counts.end() ? 0 : found->second;
}

long rmbg_stand_in_fresh_bytes_copied() {
  const std::lock_guard lock(runtime_mutex());
  return fresh_bytes_copied();
}

long rmbg_stand_in_live(const char* what) {
  const std::lock_guard lock(runtime_mutex());
  const std::string word = what;
  if (word == "device_bytes") return static_cast<long>(memory().live_bytes(MemoryKind::kDevice));
  if (word == "pinned_bytes") return static_cast<long>(memory().live_bytes(MemoryKind::kPinned));
  if (word == "streams") return static_cast<long>(live<CUstream_st>().size());
  if (word == "events") return static_cast<long>(live<CUevent_st>().size());
  if (word == "graphs") return static_cast<long>(live<CUgraph_st>().size());
  if (word == "graph_execs") return static_cast<long>(live<CUgraphExec_st>().size());
  return -1;
}
