# SPDX-License-Identifier: Apache-2.0
"""Records results in a video file whose frames have the times at which they came, whole even if it is stopped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from ..errors import Error, InputError
from ..files import atomic_path, check_writable
from ..video.color import BT601_525, BT709, LIMITED, Color
from ..video.formats import choose_format
from ..video.options import VideoOptions
from ..video.sink import FileSink, StreamInfo
from .look import Matted
from .options import Output
from .sink import Show, Sink

_TICKS = 90_000  # a second


class Recorder(Sink):
    """A file. It appears when the recording ends, under its own name at once.

    Args:
        target: Its suffix says how it is written; a cutout needs one that can be transparent.
        kind: What is recorded.
        overwrite: Replace a file that is there.

    Raises:
        InputError: The file is there already, or cannot hold that.
        Error: It cannot be written there.
    """

    keep = 16  # half a second at 30 frames a second: an encoder may pause for that long
    patience_s = None

    def __init__(self, target: str | os.PathLike[str], kind: Output, *, overwrite: bool = False) -> None:
        self.target = Path(target)
        self.name = os.fspath(target)
        self._recipe = choose_format(self.target, VideoOptions(output=kind))
        if self._recipe.container.muxer == "image2":
            raise InputError(f"{self.target}: a recording is one file; give .mkv or .mov")
        if self.target.exists() and not overwrite:
            raise InputError(f"{self.target} is there already; overwrite replaces it")
        check_writable(self.target)
        self._stack = contextlib.ExitStack()
        self._file: FileSink | None = None
        self._failed = False
        self._zero_s = 0.0
        self._last = -1
        self._usual = 1

    def start(self, show: Show) -> None:
        """See `Sink.start`."""
        rate = Fraction(show.rate).limit_denominator(1001)
        self._usual = max(1, round(_TICKS / show.rate))
        matrix = BT709 if show.size[0] >= 720 or show.size[1] >= 1280 else BT601_525
        info = StreamInfo(show.size, Fraction(1, _TICKS), rate, Color(matrix, LIMITED))
        part = self._stack.enter_context(atomic_path(self.target))
        try:
            self._file = FileSink(part, self._recipe, info)
        except BaseException:
            self._abandon()
            raise

    def write(self, matted: Matted) -> None:
        """See `Sink.write`."""
        assert self._file is not None
        if self._last < 0:
            self._zero_s = matted.captured_s
        pts = max(round((matted.captured_s - self._zero_s) * _TICKS), self._last + 1)
        self._last = pts
        try:
            self._file.write(matted.result, pts, self._usual)
        except av.FFmpegError as error:
            self._abandon()
            raise Error(f"{self.target} could not be written: {error.strerror}") from error
        except BaseException:
            self._abandon()
            raise

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._file is None:
            return
        try:
            self._file.finish()
            self._stack.close()
        except av.FFmpegError as error:
            self._abandon()
            raise Error(f"{self.target} could not be written: {error.strerror}") from error
        finally:
            self._file = None

    def _abandon(self) -> None:
        """Leaves nothing of the file."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
        with contextlib.suppress(_NothingError):
            self._stack.__exit__(_NothingError, _NothingError(), None)


class _NothingError(Exception):
    """Makes `atomic_path` remove what it has."""


def free_name(target: Path, taken: Sequence[str] = ()) -> Path:
    """``target``, or its name with the first number that is free: talk.mp4, talk_2.mp4, talk_3.mp4, ..."""
    number, found = 1, target
    while found.exists() or os.fspath(found) in taken:
        number += 1
        found = target.with_name(f"{target.stem}_{number}{target.suffix}")
    return found
