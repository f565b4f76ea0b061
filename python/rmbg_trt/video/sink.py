# SPDX-License-Identifier: Apache-2.0
"""Encodes frames into a video file, with copied streams beside them.

Source: Google, WebP Container Specification, for the duration of an animated WebP's last frame.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream

from ..errors import InputError
from ..image import Array, clear_transparent_color
from .color import FULL, LIMITED, Color, Writer
from .copied_streams import KEEP_TIMECODE, CopiedStreams
from .formats import OutputFormat
from .hdr_metadata import HdrMetadata
from .location import file_url
from .matroska_aspect import set_display_size

log = logging.getLogger(__name__)

_MATROSKA = ("matroska", "webm")
_MILLISECOND = Fraction(1, 1000)
_ANMF_DURATION = 12  # offset of the duration, three bytes, in an animated WebP's frame chunk
_LONGEST_MS = (1 << 24) - 1


@dataclass(frozen=True)
class StreamInfo:
    """What a sink must know before the first frame.

    Attributes:
        size: (height, width) of the frames.
        time_base: Seconds per tick of their times.
        rate: Frames per second, on average.
        color: Colour space of the source; the result gets the same if its codec can.
        pixel_aspect: Width over height of a pixel.
        hdr_metadata: Static metadata of an HDR clip.
        streams: Other streams to copy: sound, subtitles, further videos, cover images, data.
        tags: The file's tags.
        timecode: The time code of the first frame; "" if it has none.
        chapters: The file's chapters.
    """

    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    color: Color
    pixel_aspect: Fraction = Fraction(1)
    hdr_metadata: HdrMetadata = field(default_factory=HdrMetadata)
    streams: list[Stream] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    timecode: str = ""
    chapters: list[Any] = field(default_factory=list)


class Sink(Protocol):
    """Where results go. Used by one thread at a time.

    Attributes:
        dropped: Descriptions of the streams that it cannot hold.
        lost: Packets that it did not accept.
    """

    @property
    def dropped(self) -> list[str]:
        """See above."""

    @property
    def lost(self) -> int:
        """See above."""

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """Adds a frame: alpha (H, W), composite (H, W, 3) or cutout (H, W, 4), with its time in ticks."""

    def copy(self, packet: Packet[Any]) -> None:
        """Adds a packet of a copied stream."""

    def finish(self) -> None:
        """Writes what is left and closes the file."""

    def abandon(self) -> None:
        """Closes the file as it is, to be deleted."""


class FileSink:
    """A `Sink` that writes one file.

    Args:
        path: The file to write.
        output_format: How.
        info: What the frames are.

    Raises:
        InputError: The encoder cannot take such frames.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, output_format: OutputFormat, info: StreamInfo) -> None:
        self._format, self._info, self._path = output_format, info, path
        self._is_webp = output_format.container.muxer == "webp"
        self._clear_hidden = output_format.output == "cutout" and output_format.codec.lossless == {}
        self._color = _result_color(output_format, info.color)
        self._writer = Writer(output_format.pixel_format, self._color)
        self._last_duration_ms = 0
        container = output_format.container
        self._file: Any = av.open(file_url(path), "w", format=container.muxer, options=dict(container.options))
        try:
            self._file.metadata.update(info.tags)
            self._stream = self._add_video()
            self._copies = CopiedStreams(self._file, info.streams)
            if info.chapters:
                self._file.set_chapters(info.chapters)
            with _usual_scheduling():
                self._file.start_encoding()
        except OSError:  # among them those of FFmpeg that are the system's, as for a full disk
            self.abandon()
            raise
        except (av.FFmpegError, ValueError) as error:
            self.abandon()
            height, width = info.size
            raise InputError(
                f"{output_format.codec.encoder} cannot encode {width}x{height} frames as "
                f"{output_format.pixel_format} ({error}); try another codec or size"
            ) from error
        except BaseException:
            self.abandon()
            raise

    def _add_video(self) -> Any:
        codec, muxer, pixel_format = self._format.codec, self._format.container.muxer, self._format.pixel_format
        height, width = (side + side % 2 if self._format.even else side for side in self._info.size)
        options = dict(self._format.options)
        for name, value in self._info.hdr_metadata.options(codec.encoder).items():
            options[name] = ":".join(filter(None, (options.get(name), value)))
        stream = self._file.add_stream(codec.encoder, rate=self._info.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context: Any = stream.codec_context
        context.time_base = _MILLISECOND if self._is_webp else self._info.time_base
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = self._info.pixel_aspect
        if muxer in KEEP_TIMECODE and self._info.timecode:
            stream.metadata["timecode"] = self._info.timecode
        if pixel_format.startswith("yuv"):
            context.colorspace, context.color_range = self._color.matrix, self._color.range
        elif pixel_format == "gray":
            context.color_range = FULL
        context.color_primaries, context.color_trc = self._color.primaries, self._color.transfer
        if codec.crf is not None:  # to other encoders, 0 does not mean "by quality"
            context.bit_rate = self._format.bit_rate or 0
        if codec.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # errors only
        if codec.encoder == "libx265" and muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the tag that Apple's players need
        if pixel_format == "yuva420p":
            stream.metadata["alpha_mode"] = "1"
        return stream

    def write(self, pixels: Array, pts: int, duration: int) -> None:
        """See `Sink.write`."""
        if self._clear_hidden:
            deep = pixels.dtype != np.uint8
            pixels = np.where(pixels[..., 3:] != 0, pixels, 0) if deep else clear_transparent_color(pixels)
        frame = self._writer.write(_with_even_sides(pixels) if self._format.even else pixels)
        frame.pts, frame.duration, frame.time_base = pts, duration, self._info.time_base
        if self._is_webp:  # rounded here, as the encoder truncates
            frame.pts, frame.time_base = round(pts * self._info.time_base / _MILLISECOND), _MILLISECOND
            self._last_duration_ms = round((pts + duration) * self._info.time_base / _MILLISECOND) - frame.pts
        self._file.mux(self._stream.encode(frame))

    def copy(self, packet: Packet[Any]) -> None:
        """See `Sink.copy`."""
        self._copies.write(packet)

    @property
    def dropped(self) -> list[str]:
        """See `Sink.dropped`."""
        return self._copies.dropped

    @property
    def lost(self) -> int:
        """See `Sink.lost`."""
        return self._copies.lost

    def finish(self) -> None:
        """See `Sink.finish`."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        if self._is_webp and self._last_duration_ms > 0:
            _set_last_duration(self._path, self._last_duration_ms)
        in_codec = self._format.codec.encoder in ("libx264", "libx265")  # and there it is exact
        if self._format.container.muxer in _MATROSKA and self._info.pixel_aspect != 1 and not in_codec:
            width, height = self._stream.width, self._stream.height
            if not set_display_size(self._path, round(width * self._info.pixel_aspect), height):
                log.warning("%s: the shape of its pixels is left out", self._path.name)

    def abandon(self) -> None:
        """See `Sink.abandon`."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._file.close()


def keeps_pixel_aspect(output_format: OutputFormat) -> bool:
    """Whether players will see that pixels are not square."""
    return output_format.container.muxer in ("mp4", "mov", *_MATROSKA)


def _result_color(output_format: OutputFormat, source: Color) -> Color:
    """Colour space of the result: the source's, except for alpha alone, and where programs expect another range."""
    if not output_format.codec.full_range:
        return Color(source.matrix, LIMITED, source.primaries, source.transfer)
    return Color(source.matrix, FULL) if output_format.output == "alpha" else source


@contextlib.contextmanager
def _usual_scheduling() -> Iterator[None]:
    """Undoes that SVT-AV1, in processes of root, makes itself and its caller real-time threads.

    A real-time thread that spins while it waits for an ordinary thread, as in OpenBLAS, may keep that thread from
    running and wait forever.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before, policy, parameters = _threads(), os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
            for thread in _threads() - before:
                with contextlib.suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}


def _with_even_sides(pixels: Array) -> Array:
    """Repeats the last row and column where a side is odd."""
    odd = [(0, side % 2) for side in pixels.shape[:2]]
    if odd == [(0, 0), (0, 0)]:
        return pixels
    return np.pad(pixels, [*odd, *[(0, 0)] * (pixels.ndim - 2)], mode="edge")


def _set_last_duration(path: Path, milliseconds: int) -> None:
    """Sets the duration of an animated WebP's last frame, which the encoder does not know; keeps a still image."""
    with path.open("r+b") as file:
        header = file.read(12)
        last, position = None, 12
        end = 8 + struct.unpack("<I", header[4:8])[0]
        while position + 8 <= end:
            file.seek(position)
            chunk, length = struct.unpack("<4sI", file.read(8))
            if chunk == b"ANMF":
                last = position + 8
            position += 8 + length + length % 2
        if last is not None:
            file.seek(last + _ANMF_DURATION)
            file.write(min(milliseconds, _LONGEST_MS).to_bytes(3, "little"))
