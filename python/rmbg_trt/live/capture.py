# SPDX-License-Identifier: Apache-2.0
"""The capture thread: reads a source as fast as frames arrive, and reopens it when it is lost.

It never waits for the network. Frames that the network has no time for are dropped before they are even converted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import Error, InputError
from .options import LiveOptions
from .sources import LiveSource, ReadPixels

Item = TypeVar("Item")

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 10.0


class LatestQueue(Generic[Item]):
    """A queue between two threads that drops its oldest item when it is full.

    ``put`` never blocks: a slow consumer lowers the frame rate but never adds latency.

    Args:
        length: Items that it holds; 1 keeps only the newest.

    Attributes:
        dropped: Items dropped so far.
        closed: Whether nothing more is accepted.
    """

    def __init__(self, length: int = 1) -> None:
        self.dropped = 0
        self.closed = False
        self._length = length
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Add an item. Ignored after `close`."""
        with self._changed:
            if self.closed:
                return
            if len(self._items) == self._length:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> Item | None:
        """Remove the oldest item. None: nothing came within ``timeout`` seconds, or the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self.closed, timeout)
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        """Accept nothing more; what is queued can still be taken. May be called repeatedly."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Remove everything, without counting it as dropped."""
        with self._changed:
            self._items.clear()

    @property
    def exhausted(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self.closed and not self._items


@dataclass(frozen=True)
class LiveFrame:
    """A captured frame.

    Attributes:
        number: Index among all frames of the source.
        captured_s: When it arrived, by `time.monotonic`.
        scene: Changes when a frame does not continue the previous ones: after a reconnect or a restart of the file.
        read_pixels: Returns its pixels.
    """

    number: int
    captured_s: float
    scene: int
    read_pixels: ReadPixels


class Capture:
    """Reads a source into a queue that keeps the newest frame.

    Args:
        source: The source.
        options: For ``fps``, ``loop`` and ``reconnect``.
        stop: Ends it when set.
        paused: Returns whether frames are discarded; a file waits instead.
        on_message: Receives messages for the user.

    Attributes:
        queue: Holds the newest frame.
        frames: Frames read so far.
        reconnects: How many times a lost source was reopened.
        lost: Whether the source is lost and being reopened.
        rate: Expected frames per second.
    """

    def __init__(
        self,
        source: LiveSource,
        options: LiveOptions,
        *,
        stop: threading.Event,
        paused: Callable[[], bool],
        on_message: Callable[[str], None],
    ) -> None:
        self.queue: LatestQueue[LiveFrame] = LatestQueue()
        self.frames = self.reconnects = 0
        self.lost = False
        self.rate = 30.0
        self._source, self._options = source, options
        self._stop, self._paused, self._on_message = stop, paused, on_message
        self._scene = self._frames_since_open = self._tries = 0
        self._next_due_s = 0.0

    def run(self) -> None:
        """Read until the source ends, or ``stop`` is set.

        Raises:
            Error: The source cannot be opened, delivers nothing, or was lost for good.
        """
        try:
            self._open()
            while not self._stop.is_set():
                if self._paused() and not self._source.live:
                    self._stop.wait(0.02)
                    continue
                read_pixels, reason = self._read()
                if read_pixels is not None:
                    self._accept(read_pixels)
                elif self._stop.is_set() or not self._continue(reason):
                    return
        finally:
            self.queue.close()
            self._source.close()

    def _open(self) -> None:
        self._source.open()
        self._frames_since_open = 0
        self.rate = min(self._source.rate, self._options.fps or 1000.0)

    def _read(self) -> tuple[ReadPixels | None, str]:
        try:
            return self._source.read(self._stop), "no more frames"
        except InputError:
            raise
        except Error as error:
            if not self._source.live and self.frames > 0:
                raise Error(f"{self._source.name} ended early: {error}") from error
            return None, str(error)

    def _accept(self, read_pixels: ReadPixels) -> None:
        now = time.monotonic()
        if self.lost:
            self.lost = False
            self.reconnects += 1
            self._on_message(f"{self._source.name} is back")
        self._tries = 0
        number, self.frames = self.frames, self.frames + 1
        self._frames_since_open += 1
        if not self._paused() and self._is_due(now):
            self.queue.put(LiveFrame(number, now, self._scene, read_pixels))

    def _is_due(self, now: float) -> bool:
        """Whether to keep a frame at the requested rate; the others are skipped evenly."""
        if self._options.fps is None:
            return True
        step = 1 / self._options.fps
        if now < self._next_due_s - 0.1 * step:  # tolerance for the jitter of cameras
            return False
        on_time = self._next_due_s + step > now
        self._next_due_s = step + (self._next_due_s if on_time else now)
        return True

    def _continue(self, reason: str) -> bool:
        """At the end of the source: loop or reconnect. Returns whether there is more to read."""
        name, live = self._source.name, self._source.live
        if self.frames == 0:
            what = f"opened, but gave no frames ({reason})" if live else "has no frame that can be decoded"
            raise Error(f"{name} {what}")
        self._source.close()
        self._scene += 1
        if live:
            return self._reconnect(reason)
        if not self._options.loop:
            return False
        if self._frames_since_open == 0:
            raise Error(f"{name} no longer gives any frames")
        self._open()
        return True

    def _reconnect(self, reason: str) -> bool:
        self.lost = True
        name, limit = self._source.name, self._options.reconnect
        while limit is None or self._tries < limit:
            wait_s = min(_FIRST_RETRY_S * 2 ** min(self._tries, 10), _LONGEST_RETRY_S)
            self._tries += 1
            self._on_message(f"{name} is lost ({reason}); trying again in {wait_s:g} s")
            if self._stop.wait(wait_s):
                return False
            try:
                self._open()
                return True
            except Error as error:
                reason = str(error)
                self._source.close()
        tries = f" after {self._tries} tries" if self._tries else ""
        raise Error(f"{name} is lost{tries}: {reason}")
