# SPDX-License-Identifier: Apache-2.0
"""The matting threads: one submits the newest frame whenever a slot is free, one collects the results.

A frame leaves the capture queue only when there is a slot, so it is never older than one frame of the source. Each
result stays with its own frame, so the two cannot be mixed up.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from ..errors import Error, NetworkError
from ..image import Array
from ..options import FrameOptions, Output
from ..video.background import BackgroundSource, read_background
from ..video.options import frame_options_with
from ..video.pipeline import TicketLike
from ..video.source import scaled_size
from .capture import LatestQueue, LiveFrame
from .matted_frame import MattedFrame, letterbox
from .options import LiveOptions, Switches

_POLL_S = 0.1
_MAX_DAMAGED_IN_A_ROW = 30
_MAX_VIDEO_STEP_S = 0.5  # after a pause, a background video continues where it was


class Matter(Protocol):
    """What computes mattes: a `VideoMatter` or an `Engine` with ``color="rgb"``, or any object with these methods.

    If it has ``reset()``, that is called before a frame that does not continue the previous ones. If it has
    ``info.slots``, that limits the frames in flight. If it has ``options``, its ``refine`` and ``decontaminate`` hold.
    """

    def submit(self, frame: Any, *, options: FrameOptions) -> TicketLike:
        """Start on a frame, (H, W, 3) RGB uint8. Frames are submitted in order."""


@dataclass(frozen=True)
class _InFlight:
    frame: LiveFrame
    pixels: Array
    output: Output
    background: Any
    ticket: TicketLike


class BackgroundCycle:
    """The backgrounds to switch between. A video among them plays while it is shown. Not thread-safe.

    Args:
        backgrounds: As in `LiveOptions.backgrounds`.

    Raises:
        InputError: One of them is not a background.
    """

    def __init__(self, backgrounds: Sequence[Any]) -> None:
        self._backgrounds = [read_background(background) for background in backgrounds]
        self._current: tuple[int, tuple[int, int]] | None = None
        self._source: BackgroundSource | None = None
        self._video_s, self._last_s = 0.0, 0.0

    def at(self, index: int, size: tuple[int, int]) -> Any:
        """Return background ``index``, modulo their number, for a frame of ``size`` (height, width) now."""
        if not self._backgrounds:
            return None
        index %= len(self._backgrounds)
        now = time.monotonic()
        if self._source is None or self._current != (index, size):
            self.close()
            self._source, self._current = BackgroundSource(self._backgrounds[index], size), (index, size)
            self._video_s, self._last_s = 0.0, now
        self._video_s += min(now - self._last_s, _MAX_VIDEO_STEP_S)
        self._last_s = now
        return self._source.at(Fraction(self._video_s))

    def close(self) -> None:
        """Close a video."""
        if self._source is not None:
            self._source.close()
            self._source = None


class Matting:
    """Sends frames through the network, in order.

    Args:
        matter: Computes the mattes.
        options: What to compute.
        switches: May be changed by other threads meanwhile.
        frames: The captured frames.
        deliver: Receives each result; must not block.
        stop: Ends it when set.
        on_message: Receives messages for the user.

    Attributes:
        size: (height, width) of the results; None before the first frame.
        count: Results so far.
    """

    def __init__(
        self,
        matter: Any,
        options: LiveOptions,
        switches: Switches,
        frames: LatestQueue[LiveFrame],
        deliver: Callable[[MattedFrame], None],
        *,
        stop: threading.Event,
        on_message: Callable[[str], None],
    ) -> None:
        self.size: tuple[int, int] | None = None
        self.count = 0
        self._matter, self._options, self._switches = matter, options, switches
        self._frame_options = frame_options_with(matter, options.frame)
        self._frames, self._deliver, self._stop, self._on_message = frames, deliver, stop, on_message
        self._backgrounds = BackgroundCycle(options.backgrounds)
        matter_slots = int(getattr(getattr(matter, "info", None), "slots", 64))
        self._slot_count = max(1, min(options.slots, matter_slots))
        self._slots = threading.Semaphore(self._slot_count)
        self._in_flight: queue.SimpleQueue[_InFlight | None] = queue.SimpleQueue()
        self._scene: int | None = None
        self._damaged = 0
        self._source_size: tuple[int, int] | None = None

    def submit_all(self) -> None:
        """Submit frames until the last, or ``stop``. Runs in a thread of its own."""
        try:
            while self._acquire_slot():
                frame = self._newest()
                if frame is None:
                    return
                self._submit(frame)
        finally:
            self._in_flight.put(None)
            self._backgrounds.close()

    def collect_all(self) -> None:
        """Deliver results until the last. Runs in a thread of its own.

        Raises:
            NetworkError: The network failed on a frame.
        """
        while (item := self._in_flight.get()) is not None:
            try:
                computed = _checked(item.ticket.result(), item)
            finally:
                self._slots.release()
            self.count += 1
            self._deliver(self._matted(item, computed))

    def _matted(self, item: _InFlight, computed: Array) -> MattedFrame:
        frame, options = item.frame, self._frame_options
        return MattedFrame(
            frame.number,
            frame.captured_s,
            options.output,
            item.pixels,
            computed,
            item.output,
            item.background,
            options.premultiplied,
        )

    def _acquire_slot(self) -> bool:
        while not self._stop.is_set():
            if self._slots.acquire(timeout=_POLL_S):
                return True
        return False

    def _newest(self) -> LiveFrame | None:
        while not self._stop.is_set() and not self._frames.exhausted:
            frame = self._frames.get(_POLL_S)
            if frame is not None:
                return frame
        return None

    def _submit(self, frame: LiveFrame) -> None:
        try:
            raw = frame.read_pixels()
        except Exception as error:
            self._skip(error)
            return
        self._damaged = 0
        size = self._update_scene(frame, (raw.shape[0], raw.shape[1]))
        pixels = letterbox(raw, size)
        if self._switches.mirror:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        kind = self._frame_options.output
        background = self._backgrounds.at(self._switches.background, size)
        output: Output = "cutout" if self._switches.alpha_view and kind == "composite" else kind
        options = self._frame_options.replace(output=output, background=background if output == "composite" else None)
        ticket = self._matter.submit(pixels, options=options)
        self._in_flight.put(_InFlight(frame, pixels, output, background, ticket))

    def _skip(self, error: Exception) -> None:
        """Skip a frame that cannot be converted; too many in a row are an error."""
        self._slots.release()
        self._damaged += 1
        self._on_message(f"a frame was skipped: {error}")
        if self._damaged == _MAX_DAMAGED_IN_A_ROW:
            raise Error(f"{self._damaged} frames in a row cannot be read: {error}") from error

    def _update_scene(self, frame: LiveFrame, source_size: tuple[int, int]) -> tuple[int, int]:
        """Reset the matter if this frame does not continue the last one. Returns the size of the results."""
        if self.size is None:
            self.size = scaled_size(source_size, self._options.width, self._options.height)
        elif source_size != self._source_size and self._source_size is not None:
            old, new, kept = (f"{width}x{height}" for height, width in (self._source_size, source_size, self.size))
            self._on_message(f"the frame size changed from {old} to {new}; results stay {kept}, letterboxed")
        changed = self._scene is not None and (frame.scene, source_size) != (self._scene, self._source_size)
        self._scene, self._source_size = frame.scene, source_size
        reset = getattr(self._matter, "reset", None)
        if changed and reset is not None and self._drain():
            reset()
        return self.size

    def _drain(self) -> bool:
        """Wait until no other frame is in flight, while one slot is held for the next. False: ``stop`` was set."""
        others = self._slot_count - 1
        if not all(self._acquire_slot() for _ in range(others)):
            return False
        for _ in range(others):
            self._slots.release()
        return True


def _checked(result: Any, item: _InFlight) -> Array:
    channels = {"alpha": (), "cutout": (4,), "composite": (3,)}[item.output]
    shape = (*item.pixels.shape[:2], *channels)
    if not isinstance(result, np.ndarray) or result.shape != shape or result.dtype != np.uint8:
        got = f"{result.shape} {result.dtype}" if isinstance(result, np.ndarray) else type(result).__name__
        raise NetworkError(f"submit returned {got} for output {item.output!r}; expected {shape} uint8")
    return result
