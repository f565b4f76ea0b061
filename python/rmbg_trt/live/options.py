# SPDX-License-Identifier: Apache-2.0
"""What a user may ask of live matting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import InputError

Output: TypeAlias = Literal["alpha", "cutout", "composite"]
_LARGEST_SIDE = 16384


@dataclass(frozen=True)
class LiveOptions:
    """What is made, and how.

    Attributes:
        output: "composite" (over a background), "cutout" (transparent) or "alpha"; None: a composite if there are
            backgrounds, else a cutout.
        backgrounds: To choose from while it runs; each is what `Engine.run` takes, or the path of a picture or video.
        mirror: Swap left and right, as people expect to see themselves.
        width: Of the results in pixels; None goes with the height, or is that of the first frame.
        height: As ``width``.
        fps: Take so many frames a second at most; None takes all that there is time for.
        loop: Begin a file again when it is over.
        reconnect: How often in a row to look for a lost source before giving up; None: for ever.
        slots: Frames in flight. 1 has the lowest latency; more keep a GPU busier, and frames wait for each other.
        overlay: Show figures in the window.
        snapshots: Folder for them.
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
        """What is made."""
        return self.output or ("composite" if self.backgrounds else "cutout")

    def check(self) -> None:
        """Raises `InputError` if a value makes no sense."""
        if self.kind not in ("alpha", "cutout", "composite"):
            raise InputError(f"the output is {self.output!r}; expected 'alpha', 'cutout' or 'composite'")
        if self.kind == "composite" and not self.backgrounds:
            raise InputError("a composite needs a background: a colour, a picture, a video, blur or blur:RADIUS")
        if self.kind != "composite" and self.backgrounds:
            raise InputError(f"a background is for a composite; leave it out for output {self.kind!r}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"the frame rate is {self.fps}; expected more than 0, up to 1000")
        if self.reconnect is not None and self.reconnect < 0:
            raise InputError(f"reconnect is {self.reconnect}; expected 0 or more, or for ever")
        if not 1 <= self.slots <= 64:
            raise InputError(f"slots is {self.slots}; expected 1 to 64")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= _LARGEST_SIDE:
                raise InputError(f"the {name} is {side}; expected 1 to {_LARGEST_SIDE} pixels")
