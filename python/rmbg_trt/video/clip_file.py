# SPDX-License-Identifier: Apache-2.0
"""A video file, or a part of it: decoded frames with their times in the result, and the packets between them."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import InputError, UnavailableError
from .decoder import PROCESSOR, Decoder, open_container
from .frame_times import FrameTimes, Timed
from .report import Report

log = logging.getLogger(__name__)

_CLOCK_RUNS_ON = 0x0200  # AVFMT_TS_DISCONT: broadcast formats, whose clock starts anywhere
_INTERLEAVING_S = 10  # how much later than the picture its sound may lie in a file
_ONE_SECOND = 1_000_000  # in ticks of a container's own clock


class ClipFile:
    """An open file, and the part of it that is asked for.

    The times of the result are those of the file. With ``start`` they count from there; a broadcast format, whose
    clock starts anywhere, is brought to start at 0.

    Args:
        path: The file.
        start: Seconds after the first frame to begin at.
        duration: Seconds to read; None reads to the end.
        decoder: What decodes it.

    Attributes:
        report: What was found while reading.
        stream: The video.
        time_base: Seconds a tick of its times.

    Raises:
        InputError: It cannot be read, or holds no video.
        UnavailableError: The decoder is required and cannot be had.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        start: Fraction | None = None,
        duration: Fraction | None = None,
        decoder: Decoder = PROCESSOR,
    ) -> None:
        self.path = os.fspath(path)
        self.report = Report()
        try:
            self._container = open_container(self.path, decoder)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{self.path} cannot be read as a video ({_reason(error)}); it may be cut off or of another kind"
            ) from error
        self.stream = self._video()
        self.stream.thread_type = "AUTO"
        if decoder.gpu is not None and not self.stream.codec_context.is_hwaccel:
            if decoder.required:
                self.close()
                name = self.stream.codec_context.name
                raise UnavailableError(f"{self.path}: no GPU decodes {name} here; take decoder 'cpu' or 'auto'")
            log.info("%s is decoded on the processor", self.path)
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90000)
        self.begin_s = Fraction(self.stream.start_time or 0) * self.time_base
        self._times = FrameTimes(round(1 / (self.usual_rate * self.time_base)))
        self._waiting: deque[Packet[Any]] = deque()
        self._past_end = False
        self._choose(start, duration)

    def _video(self) -> VideoStream:
        stream = self._container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            kinds = sorted(
                {"a cover picture" if each.type == "video" else each.type for each in self._container.streams}
            )
            self.close()
            raise InputError(f"{self.path} holds no video, only {' and '.join(kinds) or 'nothing'}")
        return cast(VideoStream, stream)

    def _choose(self, start: Fraction | None, duration: Fraction | None) -> None:
        """Works out what is read, in seconds of the file's clock, and what is taken off its times."""
        self._from = None if start is None else self.begin_s + start
        self._until = None if duration is None else self.begin_s + (start or 0) + duration
        runs_on = self._container.format.flags & _CLOCK_RUNS_ON and self._container.start_time
        self._shift = self._from or (Fraction(self._container.start_time, _ONE_SECOND) if runs_on else Fraction(0))
        if start and self._whole_s is not None and start >= self._whole_s:
            self.close()
            raise InputError(f"{self.path} lasts {float(self._whole_s):g} s; there is nothing at {float(start):g} s")
        if self._from:
            try:
                self._container.seek(int(self._from / self.time_base), stream=self.stream)
            except (av.FFmpegError, OSError):
                log.debug("%s cannot seek; it is read from the beginning", self.path)

    # ---- what the file says of itself ----------------------------------------------------------------------------

    @property
    def _whole_s(self) -> Fraction | None:
        if self.stream.duration:
            return Fraction(self.stream.duration) * self.time_base
        return Fraction(self._container.duration, _ONE_SECOND) if self._container.duration else None

    @property
    def length_s(self) -> float | None:
        """Seconds that will be read, as far as the file says; None if it does not."""
        if self._whole_s is None:
            return None
        begin = self.begin_s if self._from is None else self._from
        end = self.begin_s + self._whole_s
        return float((end if self._until is None else min(end, self._until)) - begin)

    @property
    def usual_rate(self) -> Fraction:
        """Frames a second, on average."""
        rates = (self.stream.average_rate, self.stream.guessed_rate, self.stream.base_rate)
        return next((Fraction(rate) for rate in rates if rate), Fraction(25))

    @property
    def copied_streams(self) -> list[Stream]:
        """Sound and subtitles, in their order."""
        return [each for each in self._container.streams if each.type in ("audio", "subtitle")]

    @property
    def tags(self) -> dict[str, str]:
        """Title and the like, as far as they are true of the result."""
        of_the_file = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
        return {key: value for key, value in self._container.metadata.items() if key.lower() not in of_the_file}

    @property
    def chapters(self) -> list[Any]:
        """Chapters; none of a part, or of a clock that is moved, whose times they would not fit."""
        return [] if self._from is not None or self._shift else self._container.chapters()

    # ---- frames and packets --------------------------------------------------------------------------------------

    def frames(self) -> Iterator[Timed[VideoFrame]]:
        """Decoded frames of the part, in order, in ticks of ``time_base``; damaged ones are left out and counted."""
        shift = int(self._shift / self.time_base)
        for frame in self._decoded():
            if frame.is_corrupt:
                self.report.damaged += 1
                continue
            if frame.pts is not None:
                at = frame.pts * self.time_base
                if self._from is not None and at < self._from:
                    continue
                if self._until is not None and at >= self._until:
                    self._past_end = True
                    continue
            pts = None if frame.pts is None else frame.pts - shift
            timed = Timed(frame, self._times.time_of(pts, frame.duration), frame.duration)
            self.report.mended = self._times.mended
            yield timed

    def packets(self) -> list[Packet[Any]]:
        """Packets of sound and subtitles that were passed since the last call, with their times in the result."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def _decoded(self) -> Iterator[VideoFrame]:
        """Frames in the order they are shown; packets of other streams are put aside on the way."""
        reached = Fraction(0)
        for packet in self._demuxed():
            time_base, kind = packet.stream.time_base, packet.stream.type
            if packet.pts is not None and time_base and kind in ("audio", "video"):
                reached = max(reached, (packet.pts + (packet.duration or 0)) * time_base)
                if self._past_end and self._until is not None and reached > self._until + _INTERLEAVING_S:
                    return
            if packet.stream.index == self.stream.index:
                yield from self._decode(packet)
            elif kind in ("audio", "subtitle"):
                self._put_aside(packet)
        yield from self._decode(None)
        self._compare(reached)

    def _demuxed(self) -> Iterator[Packet[Any]]:
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                log.warning("%s: the file ends early (%s)", self.path, _reason(error))
                return
            if packet is None:
                return
            yield packet

    def _decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        if self._past_end:
            return []
        try:
            return self.stream.codec_context.decode(packet)
        except av.EOFError:  # it was flushed before
            return []
        except (av.FFmpegError, ValueError) as error:
            log.debug("%s: a packet cannot be decoded: %s", self.path, error)
            self.report.damaged += 1
            return []

    def _put_aside(self, packet: Packet[Any]) -> None:
        base = packet.stream.time_base
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.dts is None or time is None or not base or packet.size == 0:
            return
        if self._from is not None and time * base < self._from:
            return
        if self._until is not None and time * base >= self._until:
            return
        shift = round(self._shift / base)
        packet.dts -= shift
        packet.pts = time - shift
        self._waiting.append(packet)

    def _compare(self, reached: Fraction) -> None:
        """Notes what is missing at the end: of what the file says it has, or of the part that was asked for."""
        if self._whole_s is None or (self._until is not None and self._until <= reached):
            return
        missing = self.begin_s + self._whole_s - reached
        self.report.missing_s = float(missing) if missing > max(Fraction(1), self._whole_s / 50) else 0.0

    def close(self) -> None:
        """Closes the file. May be called again."""
        self._container.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
