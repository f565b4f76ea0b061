# SPDX-License-Identifier: Apache-2.0
"""Sources of live frames: cameras (OpenCV, as PyAV wheels have no camera input), network streams and files (PyAV)."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import av
import numpy as np
from av.video.frame import VideoFrame

from ..errors import Error, InputError
from ..image import Array
from ..video.clip_file import ClipFile
from ..video.color import Reader, orientation_of
from ..video.deinterlace import deinterlaced
from ..video.frame_times import Timed
from ..video.location import Location, protocol_options
from .extras import opencv
from .pacer import Pacer

log = logging.getLogger(__name__)

ReadPixels: TypeAlias = Callable[[], Array]
"""Converts a frame to upright (H, W, 3) RGB uint8. Called at most once, and never for frames that are dropped."""

_OPEN_TIMEOUT_S, _READ_TIMEOUT_S = 10.0, 5.0


class LiveSource(Protocol):
    """What a `LiveMatter` reads frames from. One thread makes all calls. After `close` it may be opened again.

    Attributes:
        name: Name for messages.
        live: Whether it has no end of its own. If so, its end means that it was lost.
    """

    name: str
    live: bool

    def open(self) -> None:
        """Open it, unless it is open. Raises `Error` on failure."""

    def read(self, stop: threading.Event) -> ReadPixels | None:
        """Wait for the next frame. Returns None at the end, or if ``stop`` was set. Raises `Error` if it is lost."""

    def close(self) -> None:
        """Close it. May be called repeatedly, and without `open`."""

    @property
    def rate(self) -> float:
        """Expected frames per second, once it is open."""


class Camera:
    """A local camera. Drivers choose the mode that is nearest to what is requested.

    Args:
        device: Index, or path (``/dev/video2``).
        width: Requested width in pixels.
        height: Requested height in pixels.
        fps: Requested frames per second.

    Raises:
        UnavailableError: OpenCV is not installed.
    """

    live = True

    def __init__(
        self, device: int | str = 0, *, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else device
        self._device = device
        self._cv2 = cv2 = opencv()
        self._mode = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FPS: fps}
        self._capture: Any = None
        self.rate = 30.0

    def open(self) -> None:
        """See `LiveSource.open`."""
        if self._capture is not None:
            return
        capture = self._cv2.VideoCapture(self._device)
        if not capture.isOpened():
            raise Error(f"{self.name} cannot be opened; {_camera_advice(self._device)}")
        capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)  # frames buffered in the driver add latency; few drivers obey
        for setting, value in self._mode.items():
            if value is not None:
                capture.set(setting, value)
        self._capture = capture
        self.rate = _plausible(capture.get(self._cv2.CAP_PROP_FPS))
        log.info("%s: %s", self.name, capture.getBackendName())

    def read(self, stop: threading.Event) -> ReadPixels | None:
        """See `LiveSource.read`."""
        ok, pixels = self._capture.read()
        if not ok or pixels is None or pixels.size == 0:
            return None
        code = self._cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else self._cv2.COLOR_BGR2RGB
        return lambda: self._cv2.cvtColor(pixels, code)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class Stream:
    """A network stream: RTSP, HTTP (also Motion JPEG and HLS), UDP, RTMP, SRT.

    Frames come as they arrive; those of HLS, and of a recording that has an end, come at their presentation times.

    Args:
        url: Any URL that FFmpeg reads.
        timeout_s: How long an open stream may be silent before it counts as lost.
    """

    def __init__(self, url: str, *, timeout_s: float = _READ_TIMEOUT_S) -> None:
        self.live = True
        self.rate = 30.0
        self.name = Location(url, "url").name
        self._url, self._timeout_s = url, timeout_s
        self._container: Any = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._pacer: Pacer | None = None
        self._reader = Reader()

    def open(self) -> None:
        """See `LiveSource.open`."""
        if self._container is not None:
            return
        try:
            container = av.open(
                self._url, options=protocol_options(self._url), timeout=(_OPEN_TIMEOUT_S, self._timeout_s)
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Error(f"{self.name} cannot be opened ({_reason(error)}); check the address and the server") from error
        self._container = container
        stream: Any = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            self.close()
            raise InputError(f"{self.name} has no video stream that can be decoded")
        stream.thread_type = "SLICE"  # frame threads would delay each frame by several
        has_end = bool(container.duration)
        self.live = not has_end
        self.rate = _plausible(stream.average_rate or stream.guessed_rate or 0)
        self._pacer = Pacer() if has_end or container.format.name == "hls" else None
        self._frames = self._decode(stream)

    def _decode(self, stream: Any) -> Iterator[VideoFrame]:
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

    def read(self, stop: threading.Event) -> ReadPixels | None:
        """See `LiveSource.read`."""
        frame = next(self._frames, None)
        if frame is None or stop.is_set():
            return None
        if self._pacer is not None and frame.pts is not None and frame.time_base is not None:
            self._pacer.wait(Fraction(frame.pts * frame.time_base), stop)
        return lambda: _upright_rgb(frame, self._reader)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._container is not None:
            self._container.close()
            self._container = None


class Clip:
    """A video file, played in real time and without sound.

    Args:
        path: Anything that FFmpeg reads: a file, a sequence of images, ``-`` for standard input.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str] | Location) -> None:
        self._location = Location.of(path)
        self.name = self._location.name
        self.rate = 25.0
        self._file: ClipFile | None = None
        self._frames: Iterator[Timed[VideoFrame]] = iter(())
        self._pacer = Pacer()
        self._reader = Reader()

    def open(self) -> None:
        """See `LiveSource.open`."""
        if self._file is not None:
            return
        self._file = ClipFile(self._location)
        self._frames = deinterlaced(self._file.frames())
        self._pacer = Pacer()
        self.rate = float(self._file.average_rate)

    def read(self, stop: threading.Event) -> ReadPixels | None:
        """See `LiveSource.read`."""
        timed = next(self._frames, None)
        if timed is None or self._file is None:
            return None
        self._file.packets()  # discards audio packets, which would pile up
        self._pacer.wait(timed.pts * self._file.time_base, stop)
        frame = timed.frame
        return None if stop.is_set() else lambda: _upright_rgb(frame, self._reader)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None


def source_of(
    location: str | int | os.PathLike[str],
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
) -> LiveSource:
    """Make the source for a camera, URL or file.

    Args:
        location: A camera's index or device (``/dev/video2``), a URL (``rtsp://``, ``http://``, ``udp://``, ...), or
            a file, which is played in real time.
        width: Width to request from a camera, in pixels.
        height: Height to request from a camera, in pixels.
        fps: Frames per second to request from a camera.

    Raises:
        InputError: It is none of these.
        UnavailableError: OpenCV is needed but not installed.
    """
    text = os.fspath(location) if not isinstance(location, int) else str(location)
    if re.fullmatch(r"\d+", text) or text.startswith(("/dev/", "\\\\.\\")):
        return Camera(int(text) if text.isdigit() else text, width=width, height=height, fps=fps)
    clip = Location.of(text)
    if clip.kind == "url":
        return Stream(text)
    try:
        clip.check()
    except InputError as error:
        raise InputError(f"{error}; expected a file, a camera number (0 is the first) or a URL") from None
    return Clip(clip)


def _camera_advice(device: int | str) -> str:
    if sys.platform.startswith("linux"):
        return "see 'v4l2-ctl --list-devices'; it may be in use, or this user may not be in the group 'video'"
    if sys.platform == "darwin":
        return "allow this terminal to use the camera in System Settings > Privacy, or try another number"
    return f"another program may be using it, or try another number than {device}"


def _plausible(rate: Any) -> float:
    return float(rate) if 1 <= rate <= 1000 else 30.0


def _upright_rgb(frame: VideoFrame, reader: Reader) -> Array:
    """Convert a decoded frame to (H, W, 3) RGB uint8, rotated as its metadata says. Alpha is dropped."""
    pixels = orientation_of(frame).apply(reader.read(frame))
    return pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[..., :3])


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
