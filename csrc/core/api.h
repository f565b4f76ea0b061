// SPDX-License-Identifier: Apache-2.0
// RMBG_API marks what a shared library exports; all other symbols are hidden. The Python module exports nothing but its
// entry, so its build defines RMBG_API as empty.
#pragma once

#if !defined(RMBG_API)
#if defined(__GNUC__)
#define RMBG_API __attribute__((visibility("default")))
#else
#define RMBG_API
#endif
#endif
