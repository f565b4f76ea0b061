# SPDX-License-Identifier: Apache-2.0
"""Video files: decoded, matted and encoded side by side, with every frame's time, the sound and the subtitles kept.

rmbg_trt.video.matte_video("in.mp4", "out.mov")
"""

from __future__ import annotations

from ..errors import UnavailableError

try:
    import av as _av  # noqa: F401  # here once, so that all modules of this folder can take it for granted
except ImportError as error:
    raise UnavailableError('PyAV is not installed: pip install "rmbg-trt[video]"') from error

from .job import Progress, VideoJob, VideoResult
from .matte_video import matte_video
from .options import VideoOptions

__all__ = ["Progress", "VideoJob", "VideoOptions", "VideoResult", "matte_video"]
