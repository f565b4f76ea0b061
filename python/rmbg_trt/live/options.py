# SPDX-License-Identifier: Apache-2.0
"""Options of live matting, and the settings that can change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..options import FrameOptions
from ..video.options import check_frame, check_rate_and_size

_CUTOUT = FrameOptions(output="cutout")


@dataclass(frozen=True)
class LiveOptions:
    """Options of a `LiveMatter`.

    Attributes:
        frame: What to make of each frame; ``refine`` and ``decontaminate`` are those of the matter. Without it: a
            composite if there are backgrounds, else a cutout.
        backgrounds: Backgrounds to switch between; each is what `Engine.run` takes, or the path of an image or video.
        mirror: Swap left and right.
        width: Width of the results in pixels. None follows ``height``, or the first frame.
        height: Height of the results in pixels. None follows ``width``, or the first frame.
        fps: Maximum frame rate; None takes as many frames as there is time for.
        loop: Play a file again when it ends.
        reconnect: How many times in a row to try to reopen a lost source; None means forever.
        slots: Frames in flight. 1 gives the lowest latency; more keep a GPU busier, but frames wait for each other.
        overlay: Show statistics in the window.
        snapshots: Folder for snapshots.
    """

    frame: FrameOptions = _CUTOUT
    backgrounds: Sequence[Any] = ()
    mirror: bool = False
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    loop: bool = False
    reconnect: int | None = None
    slots: int = 1
    overlay: bool = True
    snapshots: Path = Path()

    def __post_init__(self) -> None:
        """Turns the default into a composite if there are backgrounds."""
        if self.frame is _CUTOUT and self.backgrounds:
            object.__setattr__(self, "frame", FrameOptions(output="composite"))

    def check(self) -> None:
        """Raise `InputError` if a value is invalid."""
        if self.frame.background is not None:
            raise InputError("the frame's background is set; give it in backgrounds")
        check_frame(self.frame, has_background=bool(self.backgrounds))
        if self.reconnect is not None and self.reconnect < 0:
            raise InputError(f"reconnect is {self.reconnect}; expected 0 or more, or None for forever")
        if not 1 <= self.slots <= 64:
            raise InputError(f"slots is {self.slots}; expected 1 to 64")
        check_rate_and_size(self.fps, self.width, self.height)


@dataclass
class Switches:
    """Settings that can change while it runs.

    Attributes:
        paused: Nothing is matted. Frames of a camera are discarded; a file waits.
        mirror: Left and right are swapped.
        background: Index of the background.
        overlay: The window shows statistics.
        alpha_view: The window shows the alpha.
        help: The window shows the keys.
    """

    paused: bool = False
    mirror: bool = False
    background: int = 0
    overlay: bool = True
    alpha_view: bool = False
    help: bool = False
