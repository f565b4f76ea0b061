// SPDX-License-Identifier: Apache-2.0
// The kernel table of one instruction set: that of the compile options of the file that includes this.
// No standard library templates here or below: the linker could keep a copy compiled for the wrong processor.
#pragma once

#include "network/cpu/gemm_kernels.h"
#include "network/cpu/pointwise_kernels.h"
#include "network/cpu/winograd_kernels.h"

namespace rmbg::cpu {
namespace {

template <int m>
constexpr WinogradKernels winograd_table() {
  return {m, winograd_input<m>, winograd_output<m>};
}

constexpr Kernels kTable = {kGroup,       {winograd_table<2>(), winograd_table<4>(), winograd_table<6>()},
                            gemm<false>,  gemm<true>,
                            finish,       dot_row,
                            pool_row,     lerp,
                            lerp_columns, add,
                            axpy,         relu,
                            sigmoid};

}  // namespace
}  // namespace rmbg::cpu
