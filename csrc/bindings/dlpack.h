// SPDX-License-Identifier: Apache-2.0
// The parts of DLPack 1.x's binary interface that we use, written from its specification:
// https://dmlc.github.io/dlpack/latest/c_api.html (structs) and .../python_spec.html (capsules and their names).
// The layouts are fixed for all 1.x versions; DLManagedTensor is the form before version 1.
#pragma once

#include <cstdint>

namespace rmbg {

/// Where memory is. Other kinds are GPUs of other vendors.
enum DLDeviceKind : std::int32_t { kDLCpu = 1, kDLCuda = 2, kDLCudaHost = 3, kDLCudaManaged = 13 };

enum DLTypeCode : std::uint8_t { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLComplex = 5, kDLBool = 6 };

struct DLDevice {
  std::int32_t device_type;  // a DLDeviceKind, or another number
  std::int32_t device_id;
};

struct DLDataType {
  std::uint8_t code;  // a DLTypeCode, or another number
  std::uint8_t bits;
  std::uint16_t lanes;  // 1, but for vectors
};

struct DLTensor {
  void* data;  // null when there is no element
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null: C-contiguous
  std::uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);  // may be null
};

struct DLPackVersion {
  std::uint32_t major;
  std::uint32_t minor;
};

constexpr std::uint64_t kDLFlagReadOnly = 1;
constexpr std::uint64_t kDLFlagIsCopied = 2;

/// With another major version, only the members before `flags` may be used.
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);  // may be null
  std::uint64_t flags;
  DLTensor dl_tensor;
};

/// The names of a capsule before and after its tensor was taken.
template <typename Managed>
struct DLCapsule;
template <>
struct DLCapsule<DLManagedTensor> {
  static constexpr const char* kName = "dltensor";
  static constexpr const char* kUsedName = "used_dltensor";
};
template <>
struct DLCapsule<DLManagedTensorVersioned> {
  static constexpr const char* kName = "dltensor_versioned";
  static constexpr const char* kUsedName = "used_dltensor_versioned";
};

struct DLPackExchangeHeader {
  DLPackVersion version;
  DLPackExchangeHeader* older;  // the same table for an older major version, or null
};

/// C functions of an array type, in a capsule of this name at `__dlpack_c_exchange_api__` (DLPack 1.3). They return 0,
/// or -1 with a Python exception set.
struct DLPackExchange {
  static constexpr const char* kCapsuleName = "dlpack_exchange_api";

  DLPackExchangeHeader header;
  void* allocate;
  int (*managed_from_object)(void* object, DLManagedTensorVersioned** out);  // does not order streams
  void* object_from_managed;
  int (*tensor_from_object)(void* object, DLTensor* out);  // borrowed; may be null
  int (*current_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
};

}  // namespace rmbg
