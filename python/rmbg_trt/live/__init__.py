# SPDX-License-Identifier: Apache-2.0
"""Live matting of a camera, a stream or a file: the newest frame, to a window, a virtual camera, a file or a pipe.

live = LiveMatter(source_of(0), VideoMatter("u2netp", color="rgb", slots=1), [Window()], LiveOptions())
report = live.run()
"""

from __future__ import annotations

from ..errors import UnavailableError

try:
    import av as _av  # noqa: F401  # here once, so that all modules of this folder can take it for granted
except ImportError as error:
    raise UnavailableError('PyAV is not installed: pip install "rmbg-trt[camera]"') from error

from .camera import Camera
from .clip import Clip
from .live_matter import LiveMatter
from .look import Matted
from .options import LiveOptions
from .raw_frames import RawFrames
from .recorder import Recorder
from .report import LiveReport, SinkReport
from .sink import GoneError, Show, Sink, Status
from .sources import LiveSource, source_of
from .stream import Stream
from .virtual_camera import VirtualCamera
from .window import Window

__all__ = [
    "Camera",
    "Clip",
    "GoneError",
    "LiveMatter",
    "LiveOptions",
    "LiveReport",
    "LiveSource",
    "Matted",
    "RawFrames",
    "Recorder",
    "Show",
    "Sink",
    "SinkReport",
    "Status",
    "Stream",
    "VirtualCamera",
    "Window",
    "source_of",
]
