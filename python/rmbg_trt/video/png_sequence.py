# SPDX-License-Identifier: Apache-2.0
"""Writes a PNG sequence: a folder of images numbered from 1, and a table of their times."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from av.packet import Packet

from ..errors import InputError
from ..files import atomic_folder
from ..image import Array, encode_image
from .copied_streams import describe
from .sink import StreamInfo

TIMES_NAME = "timestamps.csv"
_MAX_THREADS = 8


class PngSink:
    """A `Sink` that writes a folder of PNG files, and encodes one on each core.

    Args:
        folder: An existing folder.
        pattern: Pattern of the names, such as ``%06d.png``.
        info: What the frames are.
    """

    def __init__(self, folder: Path, pattern: str, info: StreamInfo) -> None:
        self.dropped = [describe(stream) for stream in info.streams]
        self.lost = 0
        self._folder, self._pattern, self._time_base = folder, pattern, info.time_base
        self._threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, "rmbg-png")
        self._pending: deque[Future[None]] = deque()
        self._rows: list[str] = []

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """See `Sink.write`."""
        name = self._pattern % (len(self._rows) + 1)
        base = self._time_base
        self._rows.append(f"{name},{pts},{duration},{base.numerator}/{base.denominator},{float(pts * base):.6f}\n")
        self._pending.append(self._pool.submit(self._write_image, name, pixels))
        if len(self._pending) > self._threads:
            self._pending.popleft().result()

    def _write_image(self, name: str, pixels: Array) -> None:
        (self._folder / name).write_bytes(encode_image(pixels, "png"))

    def copy(self, packet: Packet[Any]) -> None:
        """See `Sink.copy`. Ignores the packet: a folder of images has no sound."""

    def finish(self) -> None:
        """See `Sink.finish`."""
        while self._pending:
            self._pending.popleft().result()
        self._pool.shutdown()
        header = "file,pts,duration,time_base,seconds\n"
        (self._folder / TIMES_NAME).write_text(header + "".join(self._rows), encoding="utf-8")

    def abandon(self) -> None:
        """See `Sink.abandon`. Waits for the images that are being written, so that the folder can be deleted."""
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def sequence_folder(target: Path, pattern: str) -> Iterator[Path]:
    """Gives a folder to write to, like `atomic_folder`; raises like `check_replaceable`."""
    check_replaceable(target, pattern)
    with atomic_folder(target) as folder:
        yield folder


def check_replaceable(folder: Path, pattern: str) -> None:
    """Raises `InputError` if a folder holds anything but a sequence of this pattern."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; a PNG sequence needs a folder of its own")
    head, tail = re.split(r"%0?\d*d", pattern, maxsplit=1)
    ours = re.compile(re.escape(head) + r"\d+" + re.escape(tail))
    others = [path.name for path in folder.iterdir() if path.name != TIMES_NAME and not ours.fullmatch(path.name)]
    if others:
        raise InputError(f"{folder} holds other files ({others[0]}); a PNG sequence needs a folder of its own")
