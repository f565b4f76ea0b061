# SPDX-License-Identifier: Apache-2.0
"""Results as bytes in a row, for a pipe into FFmpeg or another program; whose reader may be slow, stuck or gone."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from ..errors import Error, InputError
from ..image import Array
from .look import Matted
from .sink import GoneError, Show, Sink

RawFormat: TypeAlias = Literal["rgb24", "bgra"]

_POLL_S = 0.1
_GRACE_S = 1.0  # at the end, for the rest of the frame that is on its way


class RawFrames(Sink):
    """Writes frames to a file descriptor, without any header. A frame is written whole before the next is chosen.

    Args:
        descriptor: Of a pipe, as 1 for stdout. It is not closed.
        format: "rgb24" (opaque), or "bgra" (with straight alpha).
        announce: Takes a line that says what is written, once the size is known.
    """

    name = "stdout"

    def __init__(self, descriptor: int, format: RawFormat, announce: Callable[[str], None] | None = None) -> None:
        if format not in ("rgb24", "bgra"):
            raise InputError(f"the format of raw frames is {format!r}; expected rgb24 or bgra")
        self._descriptor, self._format, self._announce = descriptor, format, announce
        self._hurried_s: float | None = None
        self._was_blocking: bool | None = None

    def start(self, show: Show) -> None:
        """See `Sink.start`."""
        if self._announce is not None:
            height, width = show.size
            self._announce(
                f"{self.name}: {self._format}, {width}x{height}, {4 if self._format == 'bgra' else 3} bytes a pixel"
            )
        if sys.platform != "win32":  # where pipes cannot be waited for: there a stuck reader is left behind at the end
            self._was_blocking = os.get_blocking(self._descriptor)
            os.set_blocking(self._descriptor, False)

    def write(self, matted: Matted) -> None:
        """See `Sink.write`."""
        pixels = matted.opaque() if self._format == "rgb24" else _bgra(matted)
        left = np.ascontiguousarray(pixels).data.cast("B")
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                self._wait()
            except BrokenPipeError:
                raise GoneError from None
            except OSError as error:
                raise Error(f"{self.name} could not be written: {error.strerror}") from error

    def _wait(self) -> None:
        select.select([], [self._descriptor], [], _POLL_S)
        if self._hurried_s is not None and time.monotonic() > self._hurried_s + _GRACE_S:
            raise GoneError

    def hurry(self) -> None:
        """See `Sink.hurry`."""
        self._hurried_s = time.monotonic()

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._was_blocking is not None:
            os.set_blocking(self._descriptor, self._was_blocking)


def _bgra(matted: Matted) -> Array:
    """(H, W, 4): a cutout as it is, an alpha over white, a composite opaque."""
    height, width = matted.result.shape[:2]
    made: Array = np.full((height, width, 4), 255, np.uint8)
    if matted.kind == "alpha":
        made[..., 3] = matted.result
    else:
        made[..., :3] = matted.result[..., 2::-1]
        if matted.kind == "cutout":
            made[..., 3] = matted.result[..., 3]
    return made
