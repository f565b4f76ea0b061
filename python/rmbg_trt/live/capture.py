# SPDX-License-Identifier: Apache-2.0
"""The first thread: it reads a source as fast as frames come, and finds it again when it is lost.

It never waits for the network. What the network has no time for falls from the shelf, and is not even converted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Error, InputError
from .options import LiveOptions
from .shelf import Shelf
from .sources import LiveSource, Picture

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0


@dataclass(frozen=True)
class LiveFrame:
    """A frame as it came.

    Attributes:
        number: Counts all frames of the source, from 0.
        captured_s: When it came, by `time.monotonic`.
        scene: Another number means that the frame does not follow on those before: reconnected, or begun again.
        picture: Gives its pixels.
    """

    number: int
    captured_s: float
    scene: int
    picture: Picture


class Capture:
    """Reads a source into a shelf.

    Args:
        source: Where frames come from.
        options: For ``fps``, ``loop`` and ``reconnect``.
        stop: Ends it.
        paused: Says whether frames are to be thrown away; a file waits instead.
        tell: Takes messages for the user.

    Attributes:
        shelf: The newest frame.
        frames: How many came.
        reconnects: How often a lost source was found again.
        lost: Whether it is being looked for.
    """

    def __init__(
        self,
        source: LiveSource,
        options: LiveOptions,
        *,
        stop: threading.Event,
        paused: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self.shelf: Shelf[LiveFrame] = Shelf()
        self.frames = 0
        self.reconnects = 0
        self.lost = False
        self.rate = 30.0
        self._source, self._options = source, options
        self._stop, self._paused, self._tell = stop, paused, tell
        self._scene = 0
        self._since_open = 0
        self._tries = 0
        self._next_due_s = 0.0

    def run(self) -> None:
        """Reads until the source is over, or ``stop``.

        Raises:
            Error: It cannot be opened, gives nothing, or was lost and not found again.
        """
        try:
            self._open()
            while not self._stop.is_set():
                if self._paused() and not self._source.live:
                    self._stop.wait(0.02)
                    continue
                picture, reason = self._read()
                if picture is not None:
                    self._take(picture)
                elif self._stop.is_set() or not self._go_on(reason):
                    return
        finally:
            self.shelf.end()
            self._source.close()

    def _open(self) -> None:
        self._source.open()
        self._since_open = 0
        self.rate = min(self._source.rate, self._options.fps or 1000.0)

    def _read(self) -> tuple[Picture | None, str]:
        try:
            return self._source.read(self._stop), "it gives no more frames"
        except InputError:
            raise
        except Error as error:
            if not self._source.live and self.frames > 0:
                raise Error(f"{self._source.name} breaks off: {error}") from error
            return None, str(error)

    def _take(self, picture: Picture) -> None:
        now = time.monotonic()
        if self.lost:
            self.lost = False
            self.reconnects += 1
            self._tell(f"{self._source.name} is there again")
        self._tries = 0
        number, self.frames = self.frames, self.frames + 1
        self._since_open += 1
        if self._paused() or not self._is_due(now):
            return
        self.shelf.put(LiveFrame(number, now, self._scene, picture))

    def _is_due(self, now: float) -> bool:
        """Whether a frame is wanted at the rate that was asked for; the rest is thinned out evenly."""
        if self._options.fps is None:
            return True
        step = 1 / self._options.fps
        if now < self._next_due_s - 0.1 * step:  # a camera is not that exact
            return False
        on_time = self._next_due_s + step > now
        self._next_due_s = step + (self._next_due_s if on_time else now)
        return True

    def _go_on(self, reason: str) -> bool:
        """After the end: whether there is more, from the beginning or from a source that came back."""
        if self.frames == 0:
            what = (
                f"opens, but gives no frame ({reason})" if self._source.live else "holds no frame that can be decoded"
            )
            raise Error(f"{self._source.name} {what}")
        self._source.close()
        self._scene += 1
        if self._source.live:
            return self._reconnect(reason)
        if not self._options.loop:
            return False
        if self._since_open == 0:
            raise Error(f"{self._source.name} gives no frame any more")
        self._open()
        return True

    def _reconnect(self, reason: str) -> bool:
        self.lost = True
        while self._options.reconnect is None or self._tries < self._options.reconnect:
            wait_s = min(_FIRST_WAIT_S * 2 ** min(self._tries, 10), _LONGEST_WAIT_S)
            self._tries += 1
            self._tell(f"{self._source.name} is lost ({reason}); looking for it in {wait_s:g} s")
            if self._stop.wait(wait_s):
                return False
            try:
                self._open()
                return True
            except Error as error:
                reason = str(error)
                self._source.close()
        tries = f" after {self._tries} tries" if self._tries else ""
        raise Error(f"{self._source.name} is lost{tries}: {reason}")
