# SPDX-License-Identifier: Apache-2.0
"""Sinks that write results: raw frames into a pipe, a recording, and a virtual camera for other programs."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import numpy as np

from ..errors import Error, InputError, UnavailableError
from ..files import atomic_path, check_writable
from ..image import Array
from ..options import FrameOptions, Output
from ..video import sink as video_sink
from ..video.color import BT601_525, BT709, LIMITED, Color
from ..video.formats import choose_format
from ..video.options import VideoOptions
from .extras import pyvirtualcam
from .matted_frame import GREEN, MattedFrame
from .sink import Sink, SinkClosedError, StreamInfo

RawFormat: TypeAlias = Literal["rgb24", "bgra"]

_POLL_S = 0.1
_GRACE_S = 1.0  # to write the rest of a frame at the end
_TICKS_PER_S = 90_000
_VIRTUAL_CAMERA_ADVICE = {
    "linux": "install v4l2loopback and load it: sudo modprobe v4l2loopback exclusive_caps=1 card_label=rmbg-trt",
    "darwin": "install OBS, start its virtual camera once, and stop it again",
    "win32": "install OBS, which includes one",
}


class RawFrames(Sink):
    """Writes frames to a pipe, without any header. The reader always gets whole frames, unless it stops reading.

    Args:
        descriptor: File descriptor of the pipe, 1 for stdout. It is not closed.
        format: "rgb24" (opaque), or "bgra" (with straight alpha).
        on_message: Receives a line that describes the format, once the size is known.
    """

    name = "stdout"

    def __init__(self, descriptor: int, format: RawFormat, on_message: Callable[[str], None] | None = None) -> None:
        if format not in ("rgb24", "bgra"):
            raise InputError(f"the format of raw frames is {format!r}; expected rgb24 or bgra")
        self._descriptor, self._format, self._on_message = descriptor, format, on_message
        self._stopped_s: float | None = None
        self._was_blocking: bool | None = None

    def start(self, info: StreamInfo) -> None:
        """See `Sink.start`."""
        if self._on_message is not None:
            height, width = info.size
            channels = 4 if self._format == "bgra" else 3
            self._on_message(f"{self.name}: {self._format}, {width}x{height}, {channels} bytes per pixel")
        if sys.platform != "win32":  # Windows cannot poll a pipe; there a blocked write is abandoned at the end
            self._was_blocking = os.get_blocking(self._descriptor)
            os.set_blocking(self._descriptor, False)

    def write(self, matted: MattedFrame) -> None:
        """See `Sink.write`."""
        pixels = matted.opaque() if self._format == "rgb24" else _bgra(matted)
        left = np.ascontiguousarray(pixels).data.cast("B")
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], _POLL_S)
                if self._stopped_s is not None and time.monotonic() > self._stopped_s + _GRACE_S:
                    raise SinkClosedError from None
            except BrokenPipeError:
                raise SinkClosedError from None
            except OSError as error:
                raise Error(f"{self.name} could not be written: {error.strerror}") from error

    def stop_waiting(self) -> None:
        """See `Sink.stop_waiting`."""
        self._stopped_s = time.monotonic()

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._was_blocking is not None:
            os.set_blocking(self._descriptor, self._was_blocking)


def _bgra(matted: MattedFrame) -> Array:
    """Convert to (H, W, 4): a cutout as it is, an alpha as white with that alpha, a composite opaque."""
    height, width = matted.result.shape[:2]
    pixels: Array = np.full((height, width, 4), 255, np.uint8)
    if matted.kind == "alpha":
        pixels[..., 3] = matted.result
    else:
        pixels[..., :3] = matted.result[..., 2::-1]
        if matted.kind == "cutout":
            pixels[..., 3] = matted.result[..., 3]
    return pixels


class Recorder(Sink):
    """Records a video file with a variable frame rate: each frame keeps the time at which it was captured.

    The file appears under its name when the recording ends, and is then complete.

    Args:
        target: The file. Its suffix selects the format; a cutout needs one with transparency.
        kind: The output that is recorded.
        overwrite: Replace an existing file.

    Raises:
        InputError: The file exists, or its format cannot hold the output.
        Error: It cannot be written there.
    """

    queue_length = 16  # half a second at 30 fps: an encoder may pause that long
    finish_timeout_s = None

    def __init__(self, target: str | os.PathLike[str], kind: Output, *, overwrite: bool = False) -> None:
        self.target = Path(target)
        self.name = os.fspath(target)
        self._output_format = choose_format(self.target, VideoOptions(FrameOptions(output=kind)))
        if self._output_format.container.muxer == "image2":
            raise InputError(f"{self.target}: a recording is one file; use .mkv or .mov")
        if self.target.exists() and not overwrite:
            raise InputError(f"{self.target} already exists; use overwrite to replace it")
        check_writable(self.target)
        self._stack = contextlib.ExitStack()
        self._file: video_sink.FileSink | None = None
        self._start_s = 0.0
        self._last_pts = -1
        self._duration = 1

    def start(self, info: StreamInfo) -> None:
        """See `Sink.start`."""
        rate = Fraction(info.rate).limit_denominator(1001)
        self._duration = max(1, round(_TICKS_PER_S / info.rate))
        matrix = BT709 if info.size[0] >= 720 or info.size[1] >= 1280 else BT601_525
        file_info = video_sink.StreamInfo(info.size, Fraction(1, _TICKS_PER_S), rate, Color(matrix, LIMITED))
        part = self._stack.enter_context(atomic_path(self.target))
        with self._removed_on_error():
            self._file = video_sink.FileSink(part, self._output_format, file_info)

    def write(self, matted: MattedFrame) -> None:
        """See `Sink.write`."""
        assert self._file is not None
        if self._last_pts < 0:
            self._start_s = matted.captured_s
        pts = max(round((matted.captured_s - self._start_s) * _TICKS_PER_S), self._last_pts + 1)
        self._last_pts = pts
        with self._removed_on_error():
            self._file.write(matted.result, pts, self._duration)

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._file is not None:
            with self._removed_on_error():
                self._file.finish()
                self._stack.close()
                self._file = None

    @contextlib.contextmanager
    def _removed_on_error(self) -> Iterator[None]:
        """Remove the unfinished file if the block fails, and name the file in errors of FFmpeg."""
        try:
            yield
        except BaseException as error:
            file, self._file = self._file, None
            if file is not None:
                file.abandon()
            self._stack.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, av.FFmpegError):
                raise Error(f"{self.target} could not be written: {error.strerror}") from error
            raise


def free_name(target: Path, taken: Sequence[str] = ()) -> Path:
    """Return ``target``, or the first numbered name that is free: talk.mp4, talk_2.mp4, talk_3.mp4, ..."""
    number, name = 1, target
    while name.exists() or os.fspath(name) in taken:
        number += 1
        name = target.with_name(f"{target.stem}_{number}{target.suffix}")
    return name


class VirtualCamera(Sink):
    """A virtual camera that other programs (meetings, OBS) can select. It is opaque: cutouts are put over green.

    Args:
        device: Its name, or its path on Linux; None selects the first.

    Raises:
        UnavailableError: pyvirtualcam is not installed.
    """

    name = "virtual camera"

    def __init__(self, device: str | None = None) -> None:
        self._package = pyvirtualcam()
        self._device = device
        self._camera: Any = None

    def start(self, info: StreamInfo) -> None:
        """See `Sink.start`."""
        height, width = (side + side % 2 for side in info.size)  # backends refuse odd sizes
        try:
            self._camera = self._package.Camera(width=width, height=height, fps=info.rate, device=self._device)
        except RuntimeError as error:
            advice = _VIRTUAL_CAMERA_ADVICE.get(sys.platform, _VIRTUAL_CAMERA_ADVICE["linux"])
            raise UnavailableError(f"no virtual camera ({error}); {advice}") from error

    def write(self, matted: MattedFrame) -> None:
        """See `Sink.write`."""
        pixels = matted.opaque(GREEN)
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._camera.send(np.ascontiguousarray(pixels))

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
