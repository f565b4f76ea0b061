// SPDX-License-Identifier: Apache-2.0
// The kernel table for the instruction set that the including file is compiled for. These headers use no standard
// library templates: the linker could keep a copy that was compiled for another CPU.
#pragma once

#include "network/cpu/bf16_kernels.h"
#include "network/cpu/gemm_kernels.h"
#include "network/cpu/pointwise_kernels.h"
#include "network/cpu/tile_kernels.h"
#include "network/cpu/winograd_kernels.h"

namespace rmbg::cpu {
namespace {

template <int m>
constexpr WinogradKernels winograd_table() {
  return {m, winograd_input<m>, winograd_output<m>};
}

#if defined(__AMX_BF16__)
constexpr bool kHasTiles = true;
#else
constexpr bool kHasTiles = false;
#endif

constexpr Bf16Kernels kBf16Table = {kHasTiles,      begin_tiles,   end_tiles,      multiply,         finish_bf16,
                                    pointwise_bf16, pool_row_bf16, lerp_rows_bf16, lerp_columns_bf16};

constexpr Kernels kTable = {kGroup,       {winograd_table<2>(), winograd_table<4>(), winograd_table<6>()},
                            gemm<false>,  gemm<true>,
                            finish,       dot_row,
                            pool_row,     lerp,
                            lerp_columns, add,
                            axpy,         relu,
                            sigmoid,      kBf16Table};

}  // namespace
}  // namespace rmbg::cpu
