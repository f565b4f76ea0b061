# SPDX-License-Identifier: Apache-2.0
"""The background of a composite for each frame: a colour, an image, the blurred frame, or another video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from .. import background as backgrounds
from ..background import BackgroundLike
from ..errors import InputError
from ..image import INPUT_SUFFIXES, Array, convert_pixels, read_image
from .animated_image import is_animation
from .source import Source


def read_background(background: BackgroundLike | os.PathLike[str]) -> Any:
    """Reads a user's background.

    Args:
        background: What `Engine.run` takes, or the path of an image or a video.

    Returns:
        The pixels of an image file in sRGB, the path of a video or an animated image, or anything else unchanged.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(background, (str, os.PathLike)) and Path(background).is_file():
        path = Path(background)
        if path.suffix.lower() not in INPUT_SUFFIXES or is_animation(path):
            return path
        loaded = read_image(path)
        return convert_pixels(backgrounds.opaque(loaded.pixels), loaded.icc_profile, None, str(path))
    if isinstance(background, os.PathLike):
        raise InputError(f"the background {os.fspath(background)} does not exist")
    try:
        backgrounds.parse(background, 1, 1, "rgb")
    except InputError as error:
        raise InputError(f"{error}; and there is no image or video of that name") from None
    return background


class BackgroundSource:
    """Gives the background of each frame.

    Args:
        background: As returned by `read_background`, or None.
        size: (height, width) of the frames. Images and videos are scaled to cover it and cropped.
    """

    def __init__(self, background: Any, size: tuple[int, int]) -> None:
        self._fixed: Any = None
        self._video: _LoopedVideo | None = None
        if isinstance(background, Path):
            self._video = _LoopedVideo(background, size)
        elif background is not None:
            parsed = backgrounds.parse(background, *size, "rgb")
            self._fixed = background if parsed.blur_sigma else parsed.value  # an image is scaled here, once

    def at(self, time: Fraction) -> Any:
        """Returns the background at a time, in seconds from the first frame. Times must not decrease."""
        return self._video.at(time) if self._video else self._fixed

    def close(self) -> None:
        """Closes the video, if it is one."""
        if self._video:
            self._video.close()


class _LoopedVideo:
    """A video that starts again at its end, scaled to cover a frame and cropped."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._path, self._size = path, size
        with Source(path) as probe:
            height, width = probe.size
        scale = max(Fraction(size[0], height), Fraction(size[1], width))
        self._scaled_size = max(size[0], round(height * scale)), max(size[1], round(width * scale))
        self._source: Source | None = None
        self._frames = self._repeat()
        self._current = self._next = next(self._frames)

    def _repeat(self) -> Iterator[tuple[Fraction, Array]]:
        """Yields endless (time, pixels), in seconds from the first frame of the first round."""
        begin = Fraction(0)
        height, width = self._scaled_size
        top, left = (height - self._size[0]) // 2, (width - self._size[1]) // 2
        while True:
            with Source(self._path, width=width, height=height, tone_map=True) as self._source:
                base, usual = self._source.time_base, 1 / self._source.rate
                first: int | None = None
                end = begin
                for frame in self._source.frames():
                    first = frame.pts if first is None else first
                    time = begin + (frame.pts - first) * base
                    end = time + (frame.duration * base or usual)
                    if frame.pixels.shape[2] == 4 and frame.pixels[..., 3].min() < 255:
                        raise InputError(f"the background {self._path} is transparent in places; use an opaque one")
                    yield time, frame.pixels[top : top + self._size[0], left : left + self._size[1], :3]
                begin = end

    def at(self, time: Fraction) -> Array:
        while self._next[0] <= time:
            self._current, self._next = self._next, next(self._frames)
        return self._current[1]

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
