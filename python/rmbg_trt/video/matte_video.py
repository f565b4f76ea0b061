# SPDX-License-Identifier: Apache-2.0
"""A clip in, a clip out: the whole of `rmbg-trt video` in one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from .job import Progress, VideoJob, VideoResult
from .options import VideoOptions


def matte_video(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    engine: Any = None,
    model: str | os.PathLike[str] = "u2net",
    device: str = "auto",
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> VideoResult:
    """Takes the background out of a clip.

    Args:
        path: The clip: anything that FFmpeg reads.
        target: What to write. ``.mov`` (ProRes 4444), ``.webm`` (VP9), ``.mkv`` (FFV1), ``.webp`` and
            ``FOLDER/%06d.png`` can be transparent; ``.mp4`` cannot.
        engine: An `Engine` made with ``color="rgb"`` and, so that the matte does not flicker, ``stretch="none"``;
            None makes one.
        model: For the engine that is made.
        device: For the engine that is made.
        progress: Called after each frame.
        **options: Those of `VideoOptions`: ``output``, ``background``, ``codec``, ``crf``, ``bitrate``, ``lossless``,
            ``start``, ``duration``, ``fps``, ``width``, ``height``, ``audio``, ``overwrite``.

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
    if engine is not None:
        if getattr(engine, "_color", "rgb") != "rgb":
            raise InputError('the engine takes BGR frames; make it with color="rgb"')
        return job.run(engine, progress)
    from ..engine import Engine

    with Engine(model, device=device, color="rgb", stretch="none") as made:
        return job.run(made, progress)
