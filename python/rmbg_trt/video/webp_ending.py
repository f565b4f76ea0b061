# SPDX-License-Identifier: Apache-2.0
"""The duration of an animated WebP's last frame, which the encoder can only guess: it ends with that frame's start.

Source: Google, WebP Container Specification: RIFF chunks; an ANMF chunk has its duration in bytes 12 to 14.
"""

from __future__ import annotations

import struct
from pathlib import Path

_DURATION_AT = 12
_LONGEST_MS = (1 << 24) - 1


def set_last_duration(path: Path, milliseconds: int) -> None:
    """Writes the duration of the last frame into the file; a file of one frame, which does not move, stays as it is."""
    with path.open("r+b") as file:
        header = file.read(12)
        last, position = None, 12
        end = 8 + struct.unpack("<I", header[4:8])[0]
        while position + 8 <= end:
            file.seek(position)
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind == b"ANMF":
                last = position + 8
            position += 8 + length + length % 2
        if last is not None:
            file.seek(last + _DURATION_AT)
            file.write(min(milliseconds, _LONGEST_MS).to_bytes(3, "little"))
