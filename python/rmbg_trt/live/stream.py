# SPDX-License-Identifier: Apache-2.0
"""A stream of the network, read with PyAV: RTSP, HTTP (also Motion JPEG and HLS), UDP, RTMP, SRT."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.video.frame import VideoFrame

from ..errors import Error, InputError
from ..video.color import Reader
from .clip import Pace, upright_rgb
from .sources import Picture

log = logging.getLogger(__name__)

_OPEN_S, _READ_S = 10.0, 5.0  # how long a server may be silent

# Over TCP, RTSP has no torn pictures. What FFmpeg's own buffers hold at the start is read at once, and falls as stale.
_RTSP_OPTIONS = {"rtsp_transport": "tcp"}


class Stream:
    """A URL. Frames come as they arrive; those of a finished recording, and of HLS, come when they would be shown.

    Args:
        url: Of any protocol that FFmpeg reads.
        timeout_s: How long the server may be silent, when it is open.
    """

    def __init__(self, url: str, *, timeout_s: float = _READ_S) -> None:
        self.live = True
        self.name = re.sub(r"//[^/@]*@", "//", url)  # a name and a password are nobody's business
        self._url, self._timeout_s = url, timeout_s
        self._container: Any = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._pace: Pace | None = None
        self._reader = Reader()

    def open(self) -> None:
        """See `LiveSource.open`."""
        options = _RTSP_OPTIONS if re.match("rtsps?:", self._url, re.IGNORECASE) else {}
        try:
            container = av.open(self._url, options=options, timeout=(_OPEN_S, self._timeout_s))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Error(
                f"{self.name} cannot be opened ({_reason(error)}); check the address, and that it plays"
            ) from error
        self._container = container
        stream: Any = container.streams.best("video")
        if stream is None:
            self.close()
            raise InputError(f"{self.name} holds no video, only sound or nothing")
        stream.thread_type = "SLICE"  # threads for whole frames would hold each back by a few
        finished = bool(container.duration)
        self.live = not finished
        self._pace = Pace() if finished or container.format.name == "hls" else None
        self._frames = self._decoded(stream)

    def _decoded(self, stream: Any) -> Iterator[VideoFrame]:
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                raise Error(_reason(error)) from error
            try:
                frames = stream.codec_context.decode(packet if packet.size else None)
            except av.EOFError:
                return
            except (av.FFmpegError, ValueError) as error:
                log.debug("%s: a packet cannot be decoded: %s", self.name, error)
                continue
            yield from (frame for frame in frames if not frame.is_corrupt)

    def read(self, stop: threading.Event) -> Picture | None:
        """See `LiveSource.read`."""
        frame = next(self._frames, None)
        if frame is None or stop.is_set():
            return None
        if self._pace is not None and frame.pts is not None and frame.time_base is not None:
            self._pace.wait(Fraction(frame.pts * frame.time_base), stop)
        return lambda: upright_rgb(frame, self._reader)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def rate(self) -> float:
        """See `LiveSource.rate`."""
        stream = self._container.streams.best("video") if self._container is not None else None
        rate = float((stream.average_rate or stream.guessed_rate or 0) if stream is not None else 0)
        return rate if 1 <= rate <= 1000 else 30.0


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
