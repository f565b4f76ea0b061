// SPDX-License-Identifier: Apache-2.0
// Asks for 2 MB pages. A Winograd transform touches dozens of distant lines for every tile: with 4 KB pages each is
// a miss in the first-level TLB.
#pragma once

#include "core/buffer.h"

namespace rmbg::cpu {

/// Makes room, then advises huge pages for it before it is first touched. Where there are none nothing happens.
void reserve_huge(Buffer& buffer, std::size_t bytes);

}  // namespace rmbg::cpu
