# SPDX-License-Identifier: Apache-2.0
"""Reads a video: upright RGB frames with their times, and between them the packets of sound and subtitles."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from ..errors import InputError
from ..image import Array
from .clip_file import ClipFile
from .color import Reader, Turn, color_of, turn_of
from .decoder import PROCESSOR, Decoder
from .frame_times import Timed, at_rate


@dataclass(frozen=True)
class SourceFrame:
    """A frame of a video.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 4) with straight alpha; uint8, upright; rows may be padded.
        pts: When it is shown, in ticks of `Source.time_base`.
        duration: How long, in ticks; 0 if the file does not say.
        count: How often it is shown in a row, each time for ``duration``.
        packets: Of sound and subtitles, that were stored before it; their times are those of the result.
    """

    pixels: Array
    pts: int
    duration: int
    count: int
    packets: list[Packet[Any]]


class Source:
    """A clip to matte. Close it, or use it as a context manager.

    Args:
        path: The file.
        start: As for `ClipFile`.
        duration: As for `ClipFile`.
        fps: A constant frame rate to bring the frames to; None leaves their times.
        width: Of the upright frames in pixels; None goes with the height.
        height: As ``width``.
        decoder: As for `ClipFile`.

    Attributes:
        file: What the frames come from.
        time_base: Seconds a tick of the frames' times.
        rate: Frames a second, on average.
        size: (height, width) of the frames.
        color: Of the stored frames; what is given here is RGB.
        pixel_aspect: Width over height of a pixel.

    Raises:
        InputError: It cannot be read, or holds no frame.
        UnavailableError: The decoder is required and cannot be had.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        fps: Fraction | None = None,
        width: int | None = None,
        height: int | None = None,
        decoder: Decoder = PROCESSOR,
    ) -> None:
        self.file = ClipFile(path, start, duration, decoder)
        self.report = self.file.report
        self.time_base = 1 / fps if fps else self.file.time_base
        self.rate = fps or self.file.usual_rate
        frames = self.file.frames()
        self._frames = at_rate(frames, self.file.time_base, fps) if fps else frames
        self._reader = Reader()
        self._any_size = bool(width and height)
        first = next(self._frames, None)
        if first is None:
            self.close()
            raise InputError(
                f"{self.file.path} holds no frame{' in that part' if start or duration else ''} that can be decoded "
                f"({self.report.damaged} damaged)"
            )
        self._first = first
        self._look(first.picture, width, height)

    def _look(self, frame: VideoFrame, width: int | None, height: int | None) -> None:
        """Takes from the first frame what the result is like."""
        turn = turn_of(frame)
        self._upright = _upright(frame, turn)
        self.size = scaled_size(self._upright, width, height)
        aspect = Fraction(self.file.stream.sample_aspect_ratio or 1)
        self.pixel_aspect = 1 / aspect if turn.swap else aspect
        if self._any_size:  # a size of another shape is made up for by the pixels'
            (old_height, old_width), (new_height, new_width) = self._upright, self.size
            self.pixel_aspect *= Fraction(old_width * new_height, new_width * old_height)
        self.color = color_of(frame)
        if self.color.hdr:
            self.report.note(
                "the clip is HDR (PQ or HLG): it is matted and written with 8 bits, without tone mapping; bring it to "
                "SDR first for a good matte"
            )
        elif max((component.bits for component in frame.format.components), default=8) > 8:
            self.report.note(f"the clip has more than 8 bits a channel ({frame.format.name}); it is matted at 8 bits")
        if frame.interlaced_frame:
            self.report.note("the clip is interlaced; it is matted as it is, so deinterlace it first for clean edges")

    def frames(self) -> Iterator[SourceFrame]:
        """All frames; may be called once.

        Raises:
            InputError: The picture changes its size on the way, and no size was asked for.
        """
        for timed in itertools.chain([self._first], self._frames):
            turn = turn_of(timed.picture)
            self._check_size(timed, turn)
            height, width = self.size
            pixels = turn(self._reader.read(timed.picture, (width, height) if turn.swap else (height, width)))
            yield SourceFrame(pixels, timed.pts, timed.duration, timed.count, self.file.packets())

    def _check_size(self, timed: Timed[VideoFrame], turn: Turn) -> None:
        upright = _upright(timed.picture, turn)
        if upright != self._upright and not self._any_size:
            was, now = (f"{width}x{height}" for height, width in (self._upright, upright))
            raise InputError(
                f"{self.file.path}: the picture changes from {was} to {now} at {float(timed.pts * self.time_base):.2f} "
                "s; give width and height to bring all frames to one size, or the part before or after with start and "
                "duration"
            )

    def close(self) -> None:
        """Closes the file. May be called again."""
        self.file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _upright(frame: VideoFrame, turn: Turn) -> tuple[int, int]:
    return (frame.width, frame.height) if turn.swap else (frame.height, frame.width)


def scaled_size(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """(height, width) of the frames that were asked for; a side that was not keeps the shape, to an even number."""
    if width and height:
        return height, width
    if width:
        return max(2, 2 * round(size[0] * width / size[1] / 2)), width
    if height:
        return height, max(2, 2 * round(size[1] * height / size[0] / 2))
    return size
