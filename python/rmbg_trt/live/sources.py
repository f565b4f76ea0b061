# SPDX-License-Identifier: Apache-2.0
"""Where live pictures come from, and which kind of source a user's word means."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ..errors import InputError

if TYPE_CHECKING:
    from ..image import Array

Picture: TypeAlias = "Callable[[], Array]"
"""Gives the pixels, (H, W, 3) RGB uint8, upright. Called once at most, and not for frames that are dropped."""


class LiveSource(Protocol):
    """What a `LiveMatter` takes frames from. All calls come from one thread; after `close` it may be opened again.

    Attributes:
        name: For messages.
        live: Whether it should go on for ever, so that its end means that it was lost. The end of another is the end.
    """

    name: str
    live: bool

    def open(self) -> None:
        """Begins. Raises `Error` where that cannot be."""

    def read(self, stop: threading.Event) -> Picture | None:
        """Waits for the next frame. None: there is no more, or ``stop`` was set. Raises `Error` if it is lost."""

    def close(self) -> None:
        """Ends. May be called again, and without `open`."""

    @property
    def rate(self) -> float:
        """Frames a second that are to be expected; known when it is open."""


def source_of(
    given: str | int | os.PathLike[str],
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
) -> LiveSource:
    """The source that a user means.

    Args:
        given: The number of a camera; a device (``/dev/video2``); a URL (``rtsp://``, ``http://``, ``udp://``, ...);
            or a file, which is played as fast as it was taken.
        width: To ask a camera for, in pixels.
        height: To ask a camera for, in pixels.
        fps: To ask a camera for, in frames a second.

    Raises:
        InputError: It is none of these.
        UnavailableError: A package that it needs is not installed.
    """
    text = os.fspath(given) if not isinstance(given, int) else str(given)
    if re.fullmatch(r"\d+", text) or text.startswith(("/dev/", "\\\\.\\")):
        from .camera import Camera

        return Camera(int(text) if text.isdigit() else text, width=width, height=height, fps=fps)
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        from .stream import Stream

        return Stream(text)
    path = Path(text)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, a camera's number (0 is the first) or a URL")
    if not path.exists():
        raise InputError(f"{path} is not there; expected a file, a camera's number (0 is the first) or a URL")
    from .clip import Clip

    return Clip(path)
