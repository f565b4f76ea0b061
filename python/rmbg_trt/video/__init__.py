# SPDX-License-Identifier: Apache-2.0
"""Mattes video files: decodes, mattes and encodes at the same time, and keeps times, sound and subtitles.

For example:

    rmbg_trt.video.matte_video("in.mp4", "out.mov")
"""

from __future__ import annotations

from ..errors import UnavailableError
from ..install import why_not_imported

try:
    import av as _av  # noqa: F401  # checked once, so that the modules of this folder can import it at their top
except ImportError as error:
    raise UnavailableError(why_not_imported("PyAV", error, "video")) from error

from .job import VideoJob, matte_video
from .options import VideoOptions
from .report import Progress, VideoResult

__all__ = ["Progress", "VideoJob", "VideoOptions", "VideoResult", "matte_video"]
