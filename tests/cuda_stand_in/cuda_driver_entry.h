// SPDX-License-Identifier: Apache-2.0
// The driver's functions through the runtime: four of contexts, as csrc/core/cuda_context.cpp asks for them.
#pragma once

#include "cuda_types.h"

enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess = 0, cudaDriverEntryPointSymbolNotFound = 1 };
enum : unsigned long long { cudaEnableDefault = 0 };

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned int version,
                                             unsigned long long flags, cudaDriverEntryPointQueryResult* found);
