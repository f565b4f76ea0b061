# SPDX-License-Identifier: Apache-2.0
"""Reads a video file, or a part of it: decoded frames with their times, and the packets of the other streams."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import Error, InputError, UnavailableError
from .copied_streams import is_copied, is_cover
from .decoder import PROCESSOR, Decoder, codec_context, open_container, reason
from .frame_times import FrameTimes, Timed
from .location import Location
from .report import ClipReport
from .timecode import moved

log = logging.getLogger(__name__)

_CLOCK_STARTS_ANYWHERE = 0x0200  # AVFMT_TS_DISCONT: broadcast formats
_INTERLEAVING_S = 10  # how much later in the file than a frame its sound may be stored
_STATE_THEIR_END = {"matroska", "asf", "nut"}  # and not their length, if their first frame is not at 0
_MICROSECOND = Fraction(1, 1_000_000)  # the unit of a container's times
_FILE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "timecode")


class ClipFile:
    """An open video file, or a part of it.

    Times are those of the file, with two exceptions: with ``start`` they count from there, and those of a broadcast
    format, whose clock starts anywhere, are shifted to start at 0.

    Args:
        path: The file, or another `Location`.
        start: Seconds after the first frame to begin at.
        duration: Seconds to read; None reads to the end.
        decoder: The device that decodes.
        rate: Frames per second of a sequence of images; None is 25.

    Attributes:
        path: Its name for messages.
        report: What was found while reading.
        stream: The video stream.
        time_base: Seconds per tick of its times.

    Raises:
        InputError: The file cannot be read, or contains no video.
        UnavailableError: The decoder is required and not available.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Location,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        decoder: Decoder = PROCESSOR,
        rate: Fraction | None = None,
    ) -> None:
        location = Location.of(path)
        self.path = location.name
        self.report = ClipReport()
        try:
            self._container = open_container(location, decoder, rate)
        except Error:
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(location.failure(reason(error))) from error
        self.stream = self._find_video()
        self._codec = codec_context(self.stream)
        self._codec.thread_type = "AUTO"
        if decoder.gpu is not None and not self._codec.is_hwaccel:
            if decoder.required:
                self.close()
                name = self.stream.codec_context.name
                raise UnavailableError(f"{self.path}: no GPU decodes {name} here; use decoder 'cpu' or 'auto'")
            log.info("%s is decoded on the processor", self.path)
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90000)
        self.begin_s = Fraction(self.stream.start_time or 0) * self.time_base
        self._times = FrameTimes(round(1 / (self.average_rate * self.time_base)))
        self._packets: list[Packet[Any]] = []
        self._last_dts: dict[int, int] = {}
        self._past_end = False
        self._select(start, duration)

    def _find_video(self) -> VideoStream:
        stream = self._container.streams.best("video")
        if stream is None or is_cover(stream):
            kinds = {"a cover image" if other.type == "video" else other.type for other in self._container.streams}
            self.close()
            raise InputError(f"{self.path} contains no video, only {' and '.join(sorted(kinds)) or 'nothing'}")
        if stream.codec_context is None:
            self.close()
            raise InputError(f"{self.path} has video that this FFmpeg has no decoder for")
        return cast(VideoStream, stream)

    def _select(self, start: Fraction | None, duration: Fraction | None) -> None:
        """Sets which part is read, in seconds of the file's clock, and what is subtracted from its times."""
        self._from = None if start is None else self.begin_s + start
        self._until = None if duration is None else self.begin_s + (start or 0) + duration
        broadcast = self._container.format.flags & _CLOCK_STARTS_ANYWHERE
        self._shift = self._from or (self._container.start_time or 0 if broadcast else 0) * _MICROSECOND
        if start and self._end_s is not None and self.begin_s + start >= self._end_s:
            length_s = float(self._end_s - self.begin_s)
            self.close()
            raise InputError(f"{self.path} lasts {length_s:g} s; there is nothing at {float(start):g} s")
        if self._from:
            try:
                self._container.seek(int(self._from / self.time_base), stream=self.stream)
            except (av.FFmpegError, OSError):
                log.debug("%s cannot seek; it is read from the beginning", self.path)

    @property
    def _end_s(self) -> Fraction | None:
        """When the whole clip ends, in seconds of the file's clock, if the file states it."""
        stated = Fraction(self.stream.duration or 0) * self.time_base
        stated = stated or Fraction(self._container.duration or 0) * _MICROSECOND
        if not stated:
            return None
        formats = self._container.format.name.split(",")
        states_end = stated > self.begin_s and not _STATE_THEIR_END.isdisjoint(formats)
        return stated if states_end else self.begin_s + stated

    @property
    def length_s(self) -> float | None:
        """Length of the part in seconds, if the file states its own."""
        if self._end_s is None:
            return None
        begin = self.begin_s if self._from is None else self._from
        return float((self._end_s if self._until is None else min(self._end_s, self._until)) - begin)

    @property
    def average_rate(self) -> Fraction:
        """Frames per second, on average."""
        rates = (self.stream.average_rate, self.stream.guessed_rate, self.stream.base_rate)
        return next((Fraction(rate) for rate in rates if rate), Fraction(25))

    @property
    def copied_streams(self) -> list[Stream]:
        """All streams but the video that is matted, in the file's order."""
        return [stream for stream in self._container.streams if stream.index != self.stream.index and is_copied(stream)]

    def timecode(self, rate: Fraction) -> str | None:
        """The time code of the part's first frame; None if the clip has none, "" if it has none at this rate."""
        tagged = (self.stream, self._container, *self._container.streams)
        tags = (value for each in tagged for key, value in each.metadata.items() if key.lower() == "timecode")
        first = next(tags, None)
        start = Fraction(0) if self._from is None else self._from - self.begin_s
        return first and (moved(first, start, self.average_rate) or "" if rate == self.average_rate else "")

    @property
    def tags(self) -> dict[str, str]:
        """Title and other tags that also describe the result."""
        return {key: value for key, value in self._container.metadata.items() if key.lower() not in _FILE_TAGS}

    @property
    def chapters(self) -> list[Any]:
        """Chapters; none for a part or a shifted clock, as their times would not fit."""
        chapters = self._container.chapters()
        if chapters and (self._from is not None or self._shift):
            self.report.note("the chapters are left out, because the times of the result start elsewhere")
            return []
        return chapters

    def frames(self) -> Iterator[Timed[VideoFrame]]:
        """Decodes the frames of the part in order, in ticks of ``time_base``; skips and counts damaged ones."""
        shift = int(self._shift / self.time_base)
        for frame in self._decode_all():
            if frame.is_corrupt:
                self.report.damaged += 1
                continue
            if frame.pts is not None:
                time = frame.pts * self.time_base
                self._past_end = self._past_end or (self._until is not None and time >= self._until)
                if not self._in_part(time):
                    continue
            pts = None if frame.pts is None else frame.pts - shift
            timed = Timed(frame, self._times.next(pts, frame.duration), frame.duration)
            self.report.repaired = self._times.repaired
            yield timed

    def packets(self) -> list[Packet[Any]]:
        """Returns the packets of the other streams read since the last call, with their times in the result."""
        packets, self._packets = self._packets, []
        return packets

    def _decode_all(self) -> Iterator[VideoFrame]:
        """Decodes frames in the order they are shown, and keeps the packets of the other streams."""
        reached = Fraction(0)
        for packet in self._demux():
            time_base, kind = packet.stream.time_base, packet.stream.type
            if packet.pts is not None and time_base and kind in ("audio", "video"):
                reached = max(reached, (packet.pts + (packet.duration or 0)) * time_base)
                if self._past_end and self._until is not None and reached > self._until + _INTERLEAVING_S:
                    return
            if packet.stream.index == self.stream.index:
                yield from self._decode(packet)
            else:
                self._keep(packet)
        yield from self._decode(None)
        self._find_missing(reached)

    def _demux(self) -> Iterator[Packet[Any]]:
        try:
            yield from self._container.demux()
        except (av.FFmpegError, Error, OSError) as error:
            self.report.broken_off = reason(error)
            log.warning("%s: the clip ends early (%s)", self.path, self.report.broken_off)

    def _decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        if self._past_end:
            return []
        try:
            return self._codec.decode(packet)
        except av.EOFError:  # it was flushed before
            return []
        except (av.MemoryError, av.BlockingIOError) as error:  # not the clip's fault
            raise Error(f"{self.path}: no memory or thread is left to decode it ({reason(error)})") from error
        except (av.FFmpegError, ValueError) as error:
            log.debug("%s: a packet cannot be decoded: %s", self.path, error)
            self.report.damaged += 1
            return []

    def _keep(self, packet: Packet[Any]) -> None:
        """Keeps a packet of the part for `packets`."""
        base = packet.stream.time_base
        if is_cover(packet.stream) and packet.size:
            packet.pts = packet.dts = 0
            self._packets.append(packet)
            return
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or not base or packet.size == 0 or not self._in_part(time * base):
            return
        shift = round(self._shift / base)
        packet.pts = time - shift
        last = self._last_dts.get(packet.stream.index)
        if packet.dts is not None:
            packet.dts -= shift
        elif last is not None:
            packet.dts = last + 1
        else:  # the first packets of a copied video in Matroska
            packet.dts = packet.pts - 2 * (packet.duration or 1)
        if packet.stream.type == "audio" and not packet.duration and last is not None:
            packet.duration = packet.dts - last  # without it, QuickTime files lose the last packet
        self._last_dts[packet.stream.index] = packet.dts
        self._packets.append(packet)

    def _in_part(self, time: Fraction) -> bool:
        return (self._from is None or time >= self._from) and (self._until is None or time < self._until)

    def _find_missing(self, reached: Fraction) -> None:
        """Reports how much earlier than stated the file ends, unless that lies after the part."""
        if self._end_s is None or (self._until is not None and self._until <= reached):
            return
        missing = self._end_s - reached
        tolerance = max(Fraction(1), (self._end_s - self.begin_s) / 50)
        self.report.missing_s = float(missing) if missing > tolerance else 0.0

    def close(self) -> None:
        """Closes the file. May be called again."""
        self._container.close()
