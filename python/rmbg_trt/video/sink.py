# SPDX-License-Identifier: Apache-2.0
"""Writes a video: frames to an encoder, copied packets beside them, into a file that is whole or absent."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.stream import Stream

from ..errors import InputError
from ..image import Array, clear_transparent_color
from .color import FULL, LIMITED, Color, Writer
from .formats import Recipe
from .webp_ending import set_last_duration

log = logging.getLogger(__name__)

_KEPT_TAGS = ("language", "title", "handler_name")
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Shape:
    """What a sink must know before the first frame.

    Attributes:
        size: (height, width) of the frames.
        time_base: Seconds a tick of their times.
        rate: Frames a second, on average.
        color: Of the source; the result gets the same where its codec can.
        pixel_aspect: Width over height of a pixel.
        streams: Sound and subtitles to copy.
        tags: Of the file.
        chapters: Of the file.
    """

    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    color: Color
    pixel_aspect: Fraction = Fraction(1)
    streams: list[Stream] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    chapters: list[Any] = field(default_factory=list)


class Sink(Protocol):
    """Where results go. One thread at a time."""

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """Adds a frame: alpha (H, W), composite (H, W, 3) or cutout (H, W, 4), with its time in ticks."""

    def copy(self, packet: Packet[Any]) -> None:
        """Adds a packet of a copied stream."""

    def finish(self) -> None:
        """Writes what is left and closes the file."""


class FileSink:
    """A file with one encoded stream, and copies of others.

    Args:
        path: The file to make.
        recipe: How.
        shape: Of the frames.

    Attributes:
        dropped: Streams that this kind of file cannot hold, in words.
        lost: Packets that the file refused.

    Raises:
        InputError: The encoder cannot take such frames.
    """

    def __init__(self, path: Path, recipe: Recipe, shape: Shape) -> None:
        self.dropped: list[str] = []
        self.lost = 0
        self._recipe, self._shape, self._path = recipe, shape, path
        self._clear_hidden = recipe.kind == "cutout" and recipe.codec.lossless == {}
        self._color = _color(recipe, shape.color)
        self._writer = Writer(recipe.pixel_format, self._color)
        self._last_duration_ms = 0
        self._file: Any = av.open(str(path), "w", format=recipe.container.muxer, options=dict(recipe.container.options))
        try:
            self._file.metadata.update(shape.tags)
            self._stream = self._add_video()
            self._copies = dict(self._add_copies())
            if shape.chapters:
                self._file.set_chapters(shape.chapters)
            self._file.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            self.abandon()
            raise _unusable(recipe, shape, error) from error
        except BaseException:
            self.abandon()
            raise

    def _add_video(self) -> Any:
        recipe, shape = self._recipe, self._shape
        height, width = (side + side % 2 if recipe.codec.even else side for side in shape.size)
        stream = self._file.add_stream(recipe.codec.encoder, rate=shape.rate, options=dict(recipe.options))
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pixel_format
        context: Any = stream.codec_context
        context.time_base = _MILLISECOND if recipe.container.muxer == "webp" else shape.time_base
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = shape.pixel_aspect
        if recipe.pixel_format.startswith("yuv"):
            context.colorspace, context.color_range = self._color.matrix, self._color.range
        elif recipe.pixel_format == "gray":
            context.color_range = FULL
        context.color_primaries, context.color_trc = self._color.primaries, self._color.transfer
        if recipe.codec.crf is not None:  # else 0 would mean "by quality" to no encoder but these
            context.bit_rate = recipe.bit_rate or 0
        if recipe.codec.encoder == "libx265" and recipe.container.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the kind that Apple's players take
        if recipe.pixel_format == "yuva420p":
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _add_copies(self) -> Iterator[tuple[int, Any]]:
        for source in self._shape.streams:
            reason = _refusal(self._recipe.container.muxer, source)
            if reason:
                name = source.codec_context.name if source.codec_context else "unknown"
                self.dropped.append(f"{source.type} stream {source.index} ({name})")
                log.debug("%s", reason)
                continue
            copied = self._file.add_stream_from_template(source)
            copied.metadata.update({key: source.metadata[key] for key in _KEPT_TAGS if key in source.metadata})
            copied.disposition = source.disposition
            yield source.index, copied

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """See `Sink.write`."""
        if self._clear_hidden:
            pixels = clear_transparent_color(pixels)
        frame = self._writer.write(_padded(pixels) if self._recipe.codec.even else pixels)
        frame.pts, frame.duration, frame.time_base = pts, duration, self._shape.time_base
        if self._recipe.container.muxer == "webp":  # whose encoder would cut the milliseconds off
            frame.pts, frame.time_base = round(pts * self._shape.time_base / _MILLISECOND), _MILLISECOND
            self._last_duration_ms = round((pts + duration) * self._shape.time_base / _MILLISECOND) - frame.pts
        self._file.mux(self._stream.encode(frame))

    def copy(self, packet: Packet[Any]) -> None:
        """See `Sink.copy`. Packets of dropped streams are left out; what the file refuses is counted."""
        stream = self._copies.get(packet.stream.index)
        if stream is None:
            return
        packet.stream = stream
        try:
            self._file.mux(packet)
        except (av.ArgumentError, av.InvalidDataError) as error:
            log.debug("a packet of stream %d is refused: %s", stream.index, error)
            self.lost += 1

    def finish(self) -> None:
        """See `Sink.finish`."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        if self._recipe.container.muxer == "webp" and self._last_duration_ms > 0:
            set_last_duration(self._path, self._last_duration_ms)

    def abandon(self) -> None:
        """Closes the file as it is; it is no good then."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._file.close()


def keeps_pixel_aspect(recipe: Recipe) -> bool:
    """Whether players will see pixels that are not square: by what the codec says, or an MP4 or QuickTime file."""
    return recipe.codec.encoder in ("libx264", "libx265") or recipe.container.muxer in ("mp4", "mov")


def _color(recipe: Recipe, source: Color) -> Color:
    """The colour of a result: that of its source, but for the alpha alone, and where programs expect another range."""
    if not recipe.codec.full_range:
        return Color(source.matrix, LIMITED, source.primaries, source.transfer)
    return Color(source.matrix, FULL) if recipe.kind == "alpha" else source


def _padded(pixels: Array) -> Array:
    """With even sides: the last row and column come twice where they must."""
    odd = [(0, side % 2) for side in pixels.shape[:2]]
    if odd == [(0, 0), (0, 0)]:
        return pixels
    return np.pad(pixels, [*odd, *[(0, 0)] * (pixels.ndim - 2)], mode="edge")


def _refusal(muxer: str, stream: Stream) -> str | None:
    """Why a kind of file cannot hold a stream; None if it can. Only the muxer itself knows, so it is tried."""
    try:
        trial = av.open(io.BytesIO(), "w", format=muxer)
        trial.add_stream_from_template(stream)
        trial.start_encoding()
        trial.close()
    except (av.FFmpegError, ValueError) as error:
        return str(error)
    return None


def _unusable(recipe: Recipe, shape: Shape, error: Exception) -> InputError:
    height, width = shape.size
    return InputError(
        f"{recipe.codec.encoder} cannot encode {width}x{height} frames as {recipe.pixel_format} ({error}); "
        "try another codec or size"
    )


def check_encoder(recipe: Recipe) -> None:
    """Raises `InputError` if this build of FFmpeg has no such encoder."""
    try:
        CodecContext.create(recipe.codec.encoder, "w")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"this PyAV has no encoder {recipe.codec.encoder}; choose another codec") from error
