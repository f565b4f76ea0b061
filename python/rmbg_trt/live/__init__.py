# SPDX-License-Identifier: Apache-2.0
"""Live matting of a camera, stream or file into a window, a virtual camera, a recording or a pipe.

For example:

    live = LiveMatter(source_of(0), VideoMatter("u2netp", color="rgb", slots=1), [Window()], LiveOptions())
    report = live.run()
"""

from __future__ import annotations

import contextlib

from ..errors import UnavailableError
from ..install import why_not_imported
from .extras import opencv

with contextlib.suppress(UnavailableError):
    opencv()  # before PyAV: both bring their own X libraries, and in the other order a window hangs

try:
    import av as _av  # noqa: F401  # checked here once; every module of this folder needs it
except ImportError as error:
    raise UnavailableError(why_not_imported("PyAV", error, "camera")) from error

from .live_matter import LiveMatter
from .matted_frame import MattedFrame
from .options import LiveOptions
from .sink import Sink, SinkClosedError, StreamInfo
from .sources import Camera, Clip, LiveSource, Stream, source_of
from .stats import LiveReport, SinkReport, Status
from .watchdog import WindowWatchdog
from .window import Window
from .writers import RawFrames, Recorder, VirtualCamera

__all__ = [
    "Camera",
    "Clip",
    "LiveMatter",
    "LiveOptions",
    "LiveReport",
    "LiveSource",
    "MattedFrame",
    "RawFrames",
    "Recorder",
    "Sink",
    "SinkClosedError",
    "SinkReport",
    "Status",
    "Stream",
    "StreamInfo",
    "VirtualCamera",
    "Window",
    "WindowWatchdog",
    "source_of",
]
