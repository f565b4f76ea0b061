# SPDX-License-Identifier: Apache-2.0
# Whether compiler and assembler know the newest instruction sets of x86-64: RMBG_AVX512_BF16 and RMBG_AMX. Without
# them the core is built all the same and stays with the sets below.
include(CheckCXXSourceCompiles)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(CMAKE_REQUIRED_FLAGS "-mavx512f -mavx512bf16")
  check_cxx_source_compiles("
    #include <immintrin.h>
    int main() {
      const __m512 sums = _mm512_dpbf16_ps(_mm512_setzero_ps(), (__m512bh)_mm512_setzero_ps(), (__m512bh)_mm512_setzero_ps());
      return static_cast<int>(_mm512_reduce_add_ps(sums));
    }" RMBG_AVX512_BF16)
  set(CMAKE_REQUIRED_FLAGS "-mamx-tile -mamx-bf16")
  check_cxx_source_compiles("
    #include <immintrin.h>
    int main() {
      _tile_zero(0);
      _tile_dpbf16ps(0, 1, 2);
    }" RMBG_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
endif()
