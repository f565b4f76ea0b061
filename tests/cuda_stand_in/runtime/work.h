// SPDX-License-Identifier: Apache-2.0
// Work of a stream or a graph: a kernel, a copy or a fill. It copies all its arguments.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "cuda_types.h"
#include "runtime/grid.h"
#include "runtime/memory.h"

namespace stand_in {

class Work {
 public:
  virtual ~Work() = default;
  virtual void run() const = 0;
  /// Instead of run() once the device is lost.
  virtual void skip() const {}
};

using WorkPointer = std::shared_ptr<const Work>;

class KernelWork : public Work {
 public:
  KernelWork(int device, const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments);
  void run() const override;

 private:
  int device_;
  const Kernel& kernel_;
  dim3 grid_, block_;
  std::size_t shared_bytes_;
  std::vector<std::max_align_t> storage_;
  std::vector<void*> arguments_;
};

/// Rows of bytes from one place to another.
struct Rows {
  void* to;
  std::size_t to_pitch;
  const void* from;
  std::size_t from_pitch;
  std::size_t width, height;
};

class CopyWork : public Work {
 public:
  explicit CopyWork(const Rows& rows);
  void run() const override;
  /// Whether both go between memory of the same origins: of the same devices, pinned in the same way or not at all.
  bool goes_like(const CopyWork& other) const;
  bool is_one_row() const { return rows_.height == 1; }

 private:
  struct Side {
    Place place;
    int device;
    unsigned flags;
  };
  static Side side_of(const void* data);

  Rows rows_;
  Side to_, from_;
};

class FillWork : public Work {
 public:
  FillWork(void* to, int value, std::size_t bytes) : to_(to), value_(value), bytes_(bytes) {}
  void run() const override;

 private:
  void* to_;
  int value_;
  std::size_t bytes_;
};

/// See rmbg_stand_in_fresh_bytes_copied().
long& fresh_bytes_copied();

// Each creates work for the current device, or returns CUDA's error for such arguments.
cudaError_t make_kernel_work(const void* entry, dim3 grid, dim3 block, std::size_t shared_bytes, void* const* arguments,
                             WorkPointer& work);
cudaError_t make_copy_work(const Rows& rows, cudaMemcpyKind kind, WorkPointer& work);
cudaError_t make_fill_work(void* to, int value, std::size_t bytes, WorkPointer& work);

}  // namespace stand_in
