# SPDX-License-Identifier: Apache-2.0
"""Model files taken apart and put together with struct and zlib, as the comments of csrc/engine describe them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

MAGIC = b"\x89RMBG\r\n\x1a"
RECIPE = struct.pack("<6d3I2fI", 0.485, 0.456, 0.406, 0.229, 0.224, 0.225, 0, 0, 0, 0.0, 1.0, 0)
CONV, MAX_POOL, CONCAT, RESIZE, ADD, RELU, SIGMOID = range(1, 8)


@dataclass
class Section:
    data: bytes
    required: bool = True


def pack(sections: dict[str, Section], *, version: int = 1, magic: bytes = MAGIC) -> bytes:
    """A file with right sizes and checksums."""
    body, table = b"", b""
    start = 32 + 48 * len(sections)
    for name, section in sections.items():
        body += bytes(-(start + len(body)) % 64)
        checksum = zlib.crc32(section.data)
        place = (start + len(body), len(section.data))
        table += struct.pack("<16sIIQQQ", name.encode(), section.required, checksum, *place, 0)
        body += section.data
    size = start + len(body)
    header = magic + struct.pack("<IIQI", version, len(sections), size, zlib.crc32(table))
    return header + struct.pack("<I", zlib.crc32(header)) + table + body


def unpack(data: bytes) -> dict[str, Section]:
    """The sections of a file, whose sizes and checksums must be right."""
    magic, version, count, size, table_checksum, header_checksum = struct.unpack("<8sIIQII", data[:32])
    assert (magic, version, size) == (MAGIC, 1, len(data))
    assert header_checksum == zlib.crc32(data[:28])
    assert table_checksum == zlib.crc32(data[32 : 32 + 48 * count])
    sections = {}
    for index in range(count):
        entry = struct.unpack_from("<16sIIQQQ", data, 32 + 48 * index)
        name, flags, checksum, offset, length, zero = entry
        content = data[offset : offset + length]
        assert offset % 64 == 0
        assert zero == 0
        assert zlib.crc32(content) == checksum
        sections[name.rstrip(b"\0").decode()] = Section(content, bool(flags & 1))
    return sections


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def graph(*layers: tuple[int, ...], size: tuple[int, int, int] = (3, 4, 5), output: int | None = None) -> bytes:
    """The section of a graph; ``output`` is the last value unless it is given."""
    last = len(layers) if output is None else output
    return words(*size, len(layers), last) + b"".join(words(*layer) for layer in layers)


def weights(*arrays: np.ndarray) -> bytes:
    data = b""
    for array in arrays:
        data += bytes(-len(data) % 64) + np.asarray(array, "<f4").tobytes()
    return data


def small(**changes: bytes) -> bytes:
    """The sigmoid of a 1x1 convolution over the colours of a 4 x 5 image, with some sections replaced."""
    sections = {
        "graph": graph((CONV, 1, 0, 1, 1, 1, 0, 1), (SIGMOID, 1, 1)),
        "recipe": RECIPE,
        "weights": weights(np.array([0.5, -0.25, 0.125]), np.array([0.1])),
    }
    return pack({name: Section(data) for name, data in {**sections, **changes}.items()})
