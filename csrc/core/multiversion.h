// SPDX-License-Identifier: Apache-2.0
// RMBG_MULTIVERSION before a function compiles it for each level of the x86-64 ABI (v3: AVX2, v4: AVX-512); the loader
// picks the best one that the CPU supports. For plain pixel loops that the compiler vectorizes.
// The result is the same to the bit: integers are exact, and -ffp-contract=off also holds in the clones, so a
// multiply and an add stay two roundings. RMBG_ISA does not reach here.
#pragma once

// Not with sanitizers: the loader would choose before their runtime has started.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__gnu_linux__) && \
    !defined(__CUDACC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <features.h>
#if defined(__GLIBC__)
#define RMBG_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif

#if !defined(RMBG_MULTIVERSION)
#define RMBG_MULTIVERSION
#endif

// Before a loop whose iterations are independent, if the compiler cannot see that.
#if defined(__GNUC__) && !defined(__clang__)
#define RMBG_INDEPENDENT _Pragma("GCC ivdep")
#else
#define RMBG_INDEPENDENT
#endif
