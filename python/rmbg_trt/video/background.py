# SPDX-License-Identifier: Apache-2.0
"""What a composite is put over, frame by frame: a colour, a picture, the blurred frame, or another video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from .. import background as backgrounds
from ..background import BackgroundLike
from ..errors import InputError
from ..image import INPUT_SUFFIXES, Array, read_image
from .source import Source


def as_given(background: BackgroundLike | os.PathLike[str]) -> Any:
    """Reads what a user gave: the pixels of a picture, the path of a video, or what the engine takes by itself.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(background, (str, os.PathLike)) and Path(background).is_file():
        path = Path(background)
        return read_image(path).pixels[:, :, :3] if path.suffix.lower() in INPUT_SUFFIXES else path
    if isinstance(background, os.PathLike):
        raise InputError(f"the background {os.fspath(background)} is not there")
    try:
        backgrounds.parse(background, 1, 1, "rgb")
    except InputError as error:
        raise InputError(f"{error}; and there is no picture or video of that name") from None
    return background


class Behind:
    """Gives the background of each frame.

    Args:
        background: As `as_given` returns it, or None.
        size: Of the frames, (height, width); pictures and videos are scaled to cover it and cropped.
    """

    def __init__(self, background: Any, size: tuple[int, int]) -> None:
        self._still: Any = None
        self._moving: _Loop | None = None
        if isinstance(background, Path):
            self._moving = _Loop(background, size)
        elif background is not None:
            parsed = backgrounds.parse(background, *size, "rgb")
            self._still = background if parsed.blur_sigma else parsed.value  # scaled once, not for each frame

    def at(self, time: Fraction) -> Any:
        """The background of the frame that is shown at this time, in seconds from the first; times must not fall."""
        return self._moving.at(time) if self._moving else self._still

    def close(self) -> None:
        """Closes the video, if it is one."""
        if self._moving:
            self._moving.close()


class _Loop:
    """A video that begins again when it is over, scaled to cover a frame."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._path, self._size = path, size
        with Source(path) as probe:
            height, width = probe.size
        scale = max(Fraction(size[0], height), Fraction(size[1], width))
        self._covering = max(size[0], round(height * scale)), max(size[1], round(width * scale))
        self._source: Source | None = None
        self._frames = self._endless()
        self._shown: tuple[Fraction, Array]
        self._shown = self._next = next(self._frames)

    def _endless(self) -> Iterator[tuple[Fraction, Array]]:
        """Frames and when they are shown, in seconds from the first of the first round."""
        begin = Fraction(0)
        height, width = self._covering
        top, left = (height - self._size[0]) // 2, (width - self._size[1]) // 2
        while True:
            with Source(self._path, width=width, height=height) as self._source:
                base, usual = self._source.time_base, 1 / self._source.rate
                first: int | None = None
                end = begin
                for frame in self._source.frames():
                    first = frame.pts if first is None else first
                    shown = begin + (frame.pts - first) * base
                    end = shown + (frame.duration * base or usual)
                    pixels = frame.pixels[top : top + self._size[0], left : left + self._size[1], :3]
                    yield shown, pixels
                begin = end

    def at(self, time: Fraction) -> Array:
        while self._next[0] <= time:
            self._shown, self._next = self._next, next(self._frames)
        return self._shown[1]

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
