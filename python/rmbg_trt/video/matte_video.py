# SPDX-License-Identifier: Apache-2.0
"""A clip in, a clip out: the whole of `rmbg-trt video` in one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..video_matter import VideoMatter, VideoStretch
from .job import Progress, VideoJob, VideoResult
from .options import VideoOptions

if TYPE_CHECKING:
    from ..engine import Engine

_FINISH = ("refine", "decontaminate", "stabilize")


def matte_video(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    engine: VideoMatter | Engine | None = None,
    model: str | os.PathLike[str] = "u2net",
    device: str = "auto",
    stretch: VideoStretch | tuple[float, float] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> VideoResult:
    """Takes the background out of a clip.

    Args:
        path: The clip: anything that FFmpeg reads.
        target: What to write. ``.mov`` (ProRes 4444), ``.webm`` (VP9), ``.mkv`` (FFV1), ``.webp`` and
            ``FOLDER/%06d.png`` can be transparent; ``.mp4`` cannot.
        engine: A `VideoMatter` made with ``color="rgb"``, which begins anew with this clip; or an `Engine` made with
            ``color="rgb"`` and, so that the matte does not flicker, ``stretch="none"``. None makes one.
        model: For the engine that is made.
        device: For the engine that is made.
        stretch: As for `VideoMatter`.
        progress: Called after each frame.
        **options: Those of `VideoOptions`: ``output``, ``background``, ``codec``, ``crf``, ``bitrate``, ``lossless``,
            ``start``, ``duration``, ``fps``, ``width``, ``height``, ``decoder``, ``audio``, ``overwrite``; and
            ``refine``, ``decontaminate``, ``stabilize``.

    Returns:
        What was done, and what was found on the way; ``complete`` says whether next to nothing was missing.

    Raises:
        InputError: An option is wrong, or the clip cannot be read; nothing was written.
        Error: As for `Engine`, or the result could not be written; nothing is left of it.
    """
    try:
        asked = VideoOptions(**options)
    except TypeError as error:
        raise InputError(f"{error}; the options are those of VideoOptions") from None
    job = VideoJob(path, target, asked)
    finish: dict[str, Any] = {name: options[name] for name in _FINISH if name in options}
    if stretch is not None:
        finish["stretch"] = stretch
    if isinstance(engine, VideoMatter):
        if finish:
            raise InputError(f"{', '.join(finish)}: the given VideoMatter decides that; make the matter with it")
        return job.run(engine, progress)
    made: dict[str, Any] = {"device": device, "color": "rgb"} if engine is None else {}
    with VideoMatter(model if engine is None else engine, **finish, **made) as matter:
        return job.run(matter, progress)
