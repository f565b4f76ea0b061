# SPDX-License-Identifier: Apache-2.0
"""The second and third thread: one gives the newest frame to the network when a slot is free, one takes results out.

A frame is taken from the shelf only when there is a slot, so what waits is never older than one frame of the source;
and a result travels with its own frame, in one box, so that they cannot be mixed up.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import Error, NetworkError
from ..image import Array
from ..video.pipeline import TicketLike
from ..video.source import scaled_size
from .capture import LiveFrame
from .look import Matted, fitted
from .options import LiveOptions, Output
from .scenery import Scenery
from .shelf import Shelf

_POLL_S = 0.1
_DAMAGED_IN_A_ROW = 30


class Matter(Protocol):
    """What makes mattes: a `VideoMatter` or an `Engine` with ``color="rgb"``, or anything of this shape.

    ``reset()``, where it is there, is called before a frame that does not follow on those before. ``info.slots``,
    where it is there, limits the frames in flight.
    """

    def submit(self, frame: Any, *, output: Output, background: Any) -> TicketLike:
        """Starts on a frame (H, W, 3) RGB uint8; frames are given in their order."""


@dataclass
class Switches:
    """What can be turned while it runs.

    Attributes:
        paused: Nothing is matted; a camera's frames are thrown away, a file waits.
        mirror: Left and right are swapped.
        background: Number of the background.
        overlay: Figures are shown in the window.
        alpha_view: The window shows the alpha.
        help: The keys are shown.
    """

    paused: bool = False
    mirror: bool = False
    background: int = 0
    overlay: bool = True
    alpha_view: bool = False
    help: bool = False


@dataclass(frozen=True)
class _Box:
    frame: LiveFrame
    pixels: Array
    made_kind: Output
    behind: Any
    ticket: TicketLike


class Matting:
    """Takes frames through the network, in order.

    Args:
        matter: Makes mattes.
        options: What is made.
        switches: Turned by others meanwhile.
        frames: Where frames come from.
        deliver: Takes each result; must not wait.
        stop: Ends it.
        tell: Takes messages for the user.

    Attributes:
        size: (height, width) of the results, once there is one.
        count: Results so far.
    """

    def __init__(
        self,
        matter: Any,
        options: LiveOptions,
        switches: Switches,
        frames: Shelf[LiveFrame],
        deliver: Callable[[Matted], None],
        *,
        stop: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self.size: tuple[int, int] | None = None
        self.count = 0
        self._matter, self._options, self._switches = matter, options, switches
        self._frames, self._deliver, self._stop, self._tell = frames, deliver, stop, tell
        self._scenery = Scenery(options.backgrounds)
        self._count_of_slots = max(1, min(options.slots, _slots_of(matter)))
        self._slots = threading.Semaphore(self._count_of_slots)
        self._boxes: queue.SimpleQueue[_Box | None] = queue.SimpleQueue()
        self._scene: int | None = None
        self._damaged = 0
        self._found: tuple[int, int] | None = None

    def submit_all(self) -> None:
        """Gives frames to the network until there are no more, or ``stop``. A thread's work."""
        try:
            while self._got_slot():
                frame = self._newest()
                if frame is None:
                    return
                self._submit(frame)
        finally:
            self._boxes.put(None)
            self._scenery.close()

    def collect_all(self) -> None:
        """Passes results on until the last. A thread's work.

        Raises:
            NetworkError: The network failed on a frame.
        """
        while (box := self._boxes.get()) is not None:
            try:
                made = _checked(box.ticket.result(), box)
            finally:
                self._slots.release()
            self.count += 1
            self._deliver(
                Matted(
                    box.frame.number,
                    box.frame.captured_s,
                    self._options.kind,
                    box.pixels,
                    made,
                    box.made_kind,
                    box.behind,
                )
            )

    def _got_slot(self) -> bool:
        while not self._stop.is_set():
            if self._slots.acquire(timeout=_POLL_S):
                return True
        return False

    def _newest(self) -> LiveFrame | None:
        while not self._stop.is_set() and not self._frames.over:
            frame = self._frames.take(_POLL_S)
            if frame is not None:
                return frame
        return None

    def _submit(self, frame: LiveFrame) -> None:
        try:
            raw = frame.picture()
        except Exception as error:
            self._skip(error)
            return
        self._damaged = 0
        self._begin_scene(frame, (raw.shape[0], raw.shape[1]))
        assert self.size is not None
        pixels = fitted(raw, self.size)
        if self._switches.mirror:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        kind = self._options.kind
        behind = self._scenery.at(self._switches.background, self.size)
        made_kind: Output = "cutout" if self._switches.alpha_view and kind == "composite" else kind
        ticket = self._matter.submit(pixels, output=made_kind, background=behind if made_kind == "composite" else None)
        self._boxes.put(_Box(frame, pixels, made_kind, behind, ticket))

    def _skip(self, error: Exception) -> None:
        """A frame that cannot be made a picture is left out; many in a row are an end."""
        self._slots.release()
        self._damaged += 1
        self._tell(f"a frame was left out: {error}")
        if self._damaged == _DAMAGED_IN_A_ROW:
            raise Error(f"{self._damaged} frames in a row cannot be read: {error}") from error

    def _begin_scene(self, frame: LiveFrame, found: tuple[int, int]) -> None:
        """Where a frame does not follow on the last: what the network's side remembers is let go."""
        if self.size is None:
            self.size = scaled_size(found, self._options.width, self._options.height)
        elif found != self._found and self._found is not None:
            was, now, kept = (f"{width}x{height}" for height, width in (self._found, found, self.size))
            self._tell(f"the picture changed from {was} to {now}; results stay {kept}, with black beside it if need be")
        changed = self._scene is not None and (frame.scene, found) != (self._scene, self._found)
        self._scene, self._found = frame.scene, found
        reset = getattr(self._matter, "reset", None)
        if changed and reset is not None:
            for _ in range(self._count_of_slots - 1):  # one is ours; with all of them nothing is in flight
                if not self._got_slot():
                    return
            for _ in range(self._count_of_slots - 1):
                self._slots.release()
            reset()


def _slots_of(matter: Any) -> int:
    return int(getattr(getattr(matter, "info", None), "slots", 64))


def _checked(made: Any, box: _Box) -> Array:
    expected = {"alpha": (), "cutout": (4,), "composite": (3,)}[box.made_kind]
    shape = (*box.pixels.shape[:2], *expected)
    if not isinstance(made, np.ndarray) or made.shape != shape or made.dtype != np.uint8:
        got = f"{made.shape} {made.dtype}" if isinstance(made, np.ndarray) else type(made).__name__
        raise NetworkError(f"submit gave {got} for output {box.made_kind!r}; expected {shape} uint8")
    return made
