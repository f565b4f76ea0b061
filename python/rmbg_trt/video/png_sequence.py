# SPDX-License-Identifier: Apache-2.0
"""Writes a PNG sequence: a folder of numbered pictures, from 1, and a table of their times."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.packet import Packet

from ..errors import InputError
from ..files import atomic_folder
from ..image import Array, encode_image
from .sink import Shape

TIMES_NAME = "timestamps.csv"
_MAX_THREADS = 8


class PngSink:
    """A folder of PNG files; as many are encoded at once as there are cores.

    Args:
        folder: Where to put them; it exists.
        pattern: Of the names, as ``%06d.png``.
        shape: Of the frames.
    """

    def __init__(self, folder: Path, pattern: str, shape: Shape) -> None:
        self.dropped = [f"{stream.type} stream {stream.index}" for stream in shape.streams]
        self.lost = 0
        self._folder, self._pattern, self._time_base = folder, pattern, shape.time_base
        self._threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, "rmbg-png")
        self._writing: deque[Future[None]] = deque()
        self._rows: list[str] = []

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """See `Sink.write`."""
        name = self._pattern % (len(self._rows) + 1)
        seconds = float(pts * self._time_base)
        self._rows.append(f"{name},{pts},{duration},{_text(self._time_base)},{seconds:.6f}\n")
        self._writing.append(self._pool.submit(self._write_one, name, pixels))
        if len(self._writing) > self._threads:
            self._writing.popleft().result()

    def _write_one(self, name: str, pixels: Array) -> None:
        (self._folder / name).write_bytes(encode_image(pixels, "png"))

    def copy(self, packet: Packet[Any]) -> None:
        """See `Sink.copy`: a folder of pictures has no sound."""

    def finish(self) -> None:
        """See `Sink.finish`."""
        while self._writing:
            self._writing.popleft().result()
        self._pool.shutdown()
        head = "file,pts,duration,time_base,seconds\n"
        (self._folder / TIMES_NAME).write_text(head + "".join(self._rows), encoding="utf-8")

    def abandon(self) -> None:
        """Waits for what is being written, so that the folder can go."""
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def sequence_folder(target: Path, pattern: str) -> Iterator[Path]:
    """Gives the folder to write to, see `atomic_folder`; raises as `check_replaceable`."""
    check_replaceable(target, pattern)
    with atomic_folder(target) as folder:
        yield folder


def check_replaceable(folder: Path, pattern: str) -> None:
    """Raises `InputError` if a folder holds anything but a sequence of this pattern."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; a PNG sequence goes into a folder of its own")
    head, tail = re.split(r"%0?\d*d", pattern, maxsplit=1)
    ours = re.compile(re.escape(head) + r"\d+" + re.escape(tail))
    others = [each.name for each in folder.iterdir() if each.name != TIMES_NAME and not ours.fullmatch(each.name)]
    if others:
        raise InputError(f"{folder} holds other files ({others[0]}); a PNG sequence goes into a folder of its own")


def _text(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
