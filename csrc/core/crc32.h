// SPDX-License-Identifier: Apache-2.0
// CRC-32 as in zlib and PNG (polynomial 0x04c11db7, reflected; ISO 3309), so that any tool can check a file of ours.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rmbg {

std::uint32_t crc32(const void* data, std::size_t bytes);

}  // namespace rmbg
