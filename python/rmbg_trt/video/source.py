# SPDX-License-Identifier: Apache-2.0
"""Reads a clip as upright RGB frames with their times, each with the packets of sound and subtitles before it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from ..errors import InputError
from ..image import Array
from .clip_file import ClipFile
from .color import BT709, LIMITED, Color, Orientation, Reader, color_of, orientation_of
from .decoder import PROCESSOR, Decoder
from .deinterlace import deinterlaced
from .formats import chroma_of
from .frame_times import Timed, at_rate
from .hdr_metadata import HdrMetadata
from .location import Location


@dataclass(frozen=True)
class SourceFrame:
    """A frame of a clip.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 4) with straight alpha; uint8, upright; rows may be padded.
        pts: Presentation timestamp in ticks of `Source.time_base`.
        duration: How long, in ticks; 0 if the file does not tell.
        count: How often it is shown in a row, each time for ``duration``.
        deep: (H, W, 3) RGB, uint16, full range; None unless `Source.keep_depth`.
        packets: The packets of sound and subtitles stored before it, with their times in the result.
    """

    pixels: Array
    pts: int
    duration: int
    count: int
    packets: list[Packet[Any]]
    deep: NDArray[np.uint16] | None = None


class Source:
    """A clip to matte. Close it, or use it as a context manager.

    Args:
        path: The file, or another `Location`.
        start, duration, decoder: As for `ClipFile`.
        fps: Convert to this constant frame rate; None keeps the frames' own times. A sequence of images has this rate.
        width: Of the upright frames in pixels; None follows the height.
        height: Of the upright frames in pixels; None follows the width.
        deinterlace: Make interlaced frames progressive.
        tone_map: Convert HDR to SDR.

    Attributes:
        file: The file that is read.
        report: What was found while reading.
        time_base: Seconds per tick of the frames' times.
        rate: Frames per second, on average.
        size: (height, width) of the frames.
        color: Colour space of the stored frames.
        chroma: Their chroma, as from `chroma_of`.
        bits: Their bits a channel.
        hdr_metadata: Static metadata of an HDR clip; empty for others.
        keep_depth: Whether frames also come with 16 bits a channel. To be set before `frames`.
        pixel_aspect: Width over height of a pixel.

    Raises:
        InputError: The clip cannot be read, or has no frame.
        UnavailableError: The decoder is required and not available.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Location,
        *,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        fps: Fraction | None = None,
        width: int | None = None,
        height: int | None = None,
        decoder: Decoder = PROCESSOR,
        deinterlace: bool = True,
        tone_map: bool = False,
    ) -> None:
        self.file = ClipFile(path, start, duration, decoder, rate=fps)
        self.report = self.file.report
        self.time_base = 1 / fps if fps else self.file.time_base
        self.rate = fps or self.file.average_rate
        frames = self.file.frames()
        if deinterlace:
            frames = deinterlaced(frames, lambda: self.report.note("the clip is interlaced; it was deinterlaced"))
        self._frames = at_rate(frames, self.file.time_base, fps) if fps else frames
        self._reader = Reader(tone_map=tone_map)
        self._tone_map, self.keep_depth = tone_map, False
        self._any_size = bool(width and height)
        first = next(self._frames, None)
        if first is None:
            self.close()
            raise InputError(
                f"{self.file.path} has no frame{' in that part' if start or duration else ''} that can be decoded "
                f"({self.report.damaged} damaged)"
            )
        self._first = first
        self._inspect(first.frame, width, height)

    def _inspect(self, frame: VideoFrame, width: int | None, height: int | None) -> None:
        """Sets the attributes, and notes what the user should know, from the first frame."""
        orientation = orientation_of(frame)
        self._upright_size = _upright_size(frame, orientation)
        self.size = scaled_size(self._upright_size, width, height)
        aspect = Fraction(self.file.stream.sample_aspect_ratio or 1)
        self.pixel_aspect = 1 / aspect if orientation.swap else aspect
        if self._any_size:  # the pixels' shape makes up for the frame's
            (old_height, old_width), (new_height, new_width) = self._upright_size, self.size
            self.pixel_aspect *= Fraction(old_width * new_height, new_width * old_height)
        self.color, self.chroma = color_of(frame), chroma_of(frame.format)
        self.hdr_metadata = HdrMetadata.of(frame) if self.color.hdr and not self._tone_map else HdrMetadata()
        self.bits = max((component.bits for component in frame.format.components), default=8)
        if self.color.hdr and self._tone_map:
            self.color, self.bits = Color(BT709, LIMITED, BT709, BT709), 8
        elif self.color.hdr:
            self.report.note(
                "the clip is HDR (PQ or HLG) and stays so, and the network sees it as it is; tone_map (--tone-map) "
                "converts it to SDR, for a better matte"
            )
        if frame.interlaced_frame:
            self.report.note("the clip is interlaced and is matted as it is, with comb-like edges")

    def frames(self) -> Iterator[SourceFrame]:
        """Reads all frames. Call it once.

        Raises:
            InputError: The frame size changes, and width and height were not both given.
        """
        height, width = self.size
        for timed in itertools.chain([self._first], self._frames):
            orientation = orientation_of(timed.frame)
            self._check_size(timed, orientation)
            stored_size = (width, height) if orientation.swap else (height, width)
            pixels = orientation.apply(self._reader.read(timed.frame, stored_size))
            deep = None
            if self.keep_depth:
                deep = orientation.apply(self._reader.read_deep(timed.frame, stored_size))
            yield SourceFrame(pixels, timed.pts, timed.duration, timed.count, self.file.packets(), deep)

    def _check_size(self, timed: Timed[VideoFrame], orientation: Orientation) -> None:
        size = _upright_size(timed.frame, orientation)
        if size != self._upright_size and not self._any_size:
            before, now = (f"{width}x{height}" for height, width in (self._upright_size, size))
            raise InputError(
                f"{self.file.path}: the frame size changes from {before} to {now} at "
                f"{float(timed.pts * self.time_base):.2f} s; give width and height to scale all frames to one size, or "
                "start and duration to take the part before or after"
            )

    def close(self) -> None:
        """Closes the file. May be called again."""
        self.file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _upright_size(frame: VideoFrame, orientation: Orientation) -> tuple[int, int]:
    return (frame.width, frame.height) if orientation.swap else (frame.height, frame.width)


def scaled_size(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """(height, width) to scale frames of ``size`` to. A side that is None keeps the shape, and is even."""
    if width and height:
        return height, width
    if width:
        return max(2, 2 * round(size[0] * width / size[1] / 2)), width
    if height:
        return height, max(2, 2 * round(size[1] * height / size[0] / 2))
    return size
