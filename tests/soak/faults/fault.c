// SPDX-License-Identifier: Apache-2.0
// Loaded into a process with LD_PRELOAD (conftest.py): writing below $FAULT_FOLDER fails with the error number
// $FAULT_ERRNO once $FAULT_BYTES bytes are written there, and with $FAULT_CLOCK the time of day runs backwards.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long written = 0;

static int refused(int file, size_t count) {
  const char* folder = getenv("FAULT_FOLDER");
  if (folder == NULL) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || strncmp(path, folder, strlen(folder)) != 0) return 0;
  written += (long)count;
  if (written <= atol(getenv("FAULT_BYTES"))) return 0;
  errno = atoi(getenv("FAULT_ERRNO"));
  return 1;
}

ssize_t write(int file, const void* data, size_t count) {
  static ssize_t (*real)(int, const void*, size_t) = NULL;
  if (real == NULL) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  return refused(file, count) ? -1 : real(file, data, count);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*) = NULL;
  if (real == NULL) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int failed = real(clock, now);
  if (!failed && clock == CLOCK_REALTIME && getenv("FAULT_CLOCK") != NULL) {
    struct timespec up;
    real(CLOCK_MONOTONIC, &up);
    now->tv_sec -= 1000 * (up.tv_sec % 100000);
  }
  return failed;
}
