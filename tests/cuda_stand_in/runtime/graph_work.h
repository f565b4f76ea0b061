// SPDX-License-Identifier: Apache-2.0
// The work of a graph's node, from the parameters that CUDA's calls give it.
#pragma once

#include "cuda_types.h"
#include "runtime/work.h"

namespace stand_in {

cudaError_t make_work(const cudaKernelNodeParams& parameters, WorkPointer& work);
cudaError_t make_work(const cudaMemcpy3DParms& parameters, WorkPointer& work);
/// A node that copies nothing is an error, other than a copy on a stream.
cudaError_t make_node_copy(const Rows& rows, cudaMemcpyKind kind, WorkPointer& work);

}  // namespace stand_in
