# SPDX-License-Identifier: Apache-2.0
"""Options of live matting, and the settings that can change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..options import Output

_LARGEST_SIDE = 16384


@dataclass(frozen=True)
class LiveOptions:
    """Options of a `LiveMatter`.

    Attributes:
        output: "composite" (over a background), "cutout" (transparent) or "alpha". None means a composite if there are
            backgrounds, else a cutout.
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

    output: Output | None = None
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

    @property
    def kind(self) -> Output:
        """The output to produce."""
        return self.output or ("composite" if self.backgrounds else "cutout")

    def check(self) -> None:
        """Raise `InputError` if a value is invalid."""
        if self.kind not in ("alpha", "cutout", "composite"):
            raise InputError(f"the output is {self.output!r}; expected 'alpha', 'cutout' or 'composite'")
        if self.kind == "composite" and not self.backgrounds:
            raise InputError("a composite needs a background: a colour, an image, a video, blur or blur:RADIUS")
        if self.kind != "composite" and self.backgrounds:
            raise InputError(f"a background only applies to a composite; remove it for output {self.kind!r}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"the frame rate is {self.fps}; expected more than 0, up to 1000")
        if self.reconnect is not None and self.reconnect < 0:
            raise InputError(f"reconnect is {self.reconnect}; expected 0 or more, or None for forever")
        if not 1 <= self.slots <= 64:
            raise InputError(f"slots is {self.slots}; expected 1 to 64")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= _LARGEST_SIDE:
                raise InputError(f"the {name} is {side}; expected 1 to {_LARGEST_SIDE} pixels")


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
