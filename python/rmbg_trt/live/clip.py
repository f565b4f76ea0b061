# SPDX-License-Identifier: Apache-2.0
"""A video file played in real time, as if a camera had taken it now."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from ..image import Array
from ..video.clip_file import ClipFile
from ..video.color import Reader, orientation_of
from ..video.frame_times import Timed
from .sources import Picture

_TOO_LATE_S = 0.5  # after a pause, or where decoding is slow, the clip goes on from there


class Clip:
    """A file. Its frames come when they would be shown; sound is not played.

    Args:
        path: Anything that FFmpeg reads.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self._file: ClipFile | None = None
        self._frames: Iterator[Timed[VideoFrame]] = iter(())
        self._pace = Pace()
        self._reader = Reader()

    def open(self) -> None:
        """See `LiveSource.open`."""
        self._file = ClipFile(self.name)
        self._frames = self._file.frames()
        self._pace = Pace()

    def read(self, stop: threading.Event) -> Picture | None:
        """See `LiveSource.read`."""
        timed = next(self._frames, None)
        if timed is None or self._file is None:
            return None
        self._file.packets()  # of sound, which would pile up
        self._pace.wait(timed.pts * self._file.time_base, stop)
        frame = timed.frame
        return None if stop.is_set() else lambda: upright_rgb(frame, self._reader)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def rate(self) -> float:
        """See `LiveSource.rate`."""
        return float(self._file.average_rate) if self._file is not None else 25.0


class Pace:
    """Makes a clip's time go as fast as the clock's."""

    def __init__(self) -> None:
        self._zero_s: float | None = None

    def wait(self, time_s: Fraction, stop: threading.Event) -> None:
        """Waits until the frame of this time is due, or ``stop`` is set."""
        now = time.monotonic()
        due = now if self._zero_s is None else self._zero_s + float(time_s)
        if self._zero_s is None or due < now - _TOO_LATE_S:
            self._zero_s = now - float(time_s)
        elif due > now:
            stop.wait(due - now)


def upright_rgb(frame: VideoFrame, reader: Reader) -> Array:
    """The picture of a decoded frame, (H, W, 3) RGB uint8, turned as it asks to be; alpha is left out."""
    pixels = orientation_of(frame).apply(reader.read(frame))
    return pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[..., :3])
