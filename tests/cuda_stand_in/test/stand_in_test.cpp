// SPDX-License-Identifier: Apache-2.0
// Runs the tests of the stand-in: prints "ok  name" for each and ends with 1 if a check failed.
#include "test/stand_in_test.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace stand_in_test {
namespace {

std::vector<std::pair<const char*, void (*)()>>& cases() {
  static std::vector<std::pair<const char*, void (*)()>> all;
  return all;
}

int failures = 0;

}  // namespace

Case::Case(const char* name, void (*body)()) { cases().emplace_back(name, body); }

void check(bool right, const char* what, const char* file, int line) {
  if (right) return;
  ++failures;
  std::printf("%s:%d: not so: %s\n", file, line, what);
}

bool dies(const char* text, const std::function<void()>& body) {
  int ends[2];
  std::fflush(stdout);
  if (pipe(ends) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char buffer[256];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) said.append(buffer, got);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const bool right = WIFSIGNALED(status) && said.find(text) != std::string::npos;
  if (!right) std::printf("expected '%s' in: %s\n", text, said.c_str());
  return right;
}

__global__ void fill(int* to, int count, int value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) to[i] = value;
}

__global__ void multiply_add(int* to, int factor, int summand) { *to = *to * factor + summand; }

int run_all() {
  for (const auto& [name, body] : cases()) {
    const int before = failures;
    body();
    rmbg_stand_in_reset();
    std::printf("%s  %s\n", failures == before ? "ok" : "FAILED", name);
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace stand_in_test

int main() { return stand_in_test::run_all(); }
