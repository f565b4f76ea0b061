# SPDX-License-Identifier: Apache-2.0
"""What a place to show or keep results must do, and the thread that brings them there without anyone waiting for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Error
from .latency import Latency, Spread
from .look import Matted
from .shelf import Shelf

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How it goes, for the overlay.

    Attributes:
        fps: Results a second, of the last seconds.
        latency: From a frame's arrival until it was shown, of the last seconds.
        dropped: Frames that the network had no time for, so far.
        notes: What else is to be said: paused, recording, looking for the source, ...
        overlay: Whether the figures are wanted.
        alpha_view: Whether the alpha is wanted.
        help: Whether the keys are wanted.
    """

    fps: float
    latency: Spread
    dropped: int
    notes: tuple[str, ...] = ()
    overlay: bool = True
    alpha_view: bool = False
    help: bool = False


@dataclass(frozen=True)
class Show:
    """What a sink knows before the first result.

    Attributes:
        size: (height, width) of all results.
        rate: Frames a second that are to be expected at most.
        status: Gives how it goes.
    """

    size: tuple[int, int]
    rate: float
    status: Callable[[], Status]


class GoneError(Exception):
    """Whoever looked has gone, which is no failure: a pipe's reader has ended, a window was closed."""


class Sink:
    """Where results go. ``start``, ``write`` and ``finish`` are called by one thread.

    Attributes:
        name: For messages and the report.
        keep: Results that may wait for it; the oldest fall. 1 keeps the newest only.
        main_thread: Whether it must be served by the thread that called `LiveMatter.run`, as windows must.
        patience_s: How long to wait for it at the end; None: as long as it takes.
    """

    name = "sink"
    keep = 1
    main_thread = False
    patience_s: float | None = 5.0

    def start(self, show: Show) -> None:
        """Called before the first result. Raises `Error` where it cannot work."""

    def write(self, matted: Matted) -> None:
        """Takes a result. Raises `Error`, or `GoneError`."""

    def hurry(self) -> None:
        """No more results come. Called by another thread: what waits for somebody else must not wait much longer."""

    def finish(self) -> None:
        """Called after the last result, also where one failed. Raises `Error` where something is not whole."""


class Outlet:
    """Brings results to a sink.

    Args:
        sink: Where to.
        show: Gives what the sink must know.
        failed: Called with the error, should the sink fail; for one that came later, and without which it goes on.

    Attributes:
        sink: As given.
        optional: Whether it came later.
        written: Results that it took.
        latency: Of those, from the frame's arrival until it was shown or written.
        error: What went wrong, if something did.
        started: Whether it has taken a result.
        gone: Whether it failed, or whoever looked has gone.
    """

    def __init__(self, sink: Sink, show: Callable[[], Show], failed: Callable[[Exception], None] | None = None) -> None:
        self.sink = sink
        self.optional = failed is not None
        self._failed = failed
        self.written = 0
        self.latency = Latency()
        self.error: Exception | None = None
        self.started = False
        self.gone = False
        self._show = show
        self._shelf: Shelf[Matted] = Shelf(sink.keep)
        self._thread: threading.Thread | None = None
        if not sink.main_thread:
            self._thread = threading.Thread(target=self._run, name=f"rmbg-{sink.name}", daemon=True)
            self._thread.start()

    @property
    def dropped(self) -> int:
        """Results that fell because it was too slow."""
        return self._shelf.dropped

    @property
    def ended(self) -> bool:
        """Whether it takes no more results."""
        return self._shelf.ended

    def offer(self, matted: Matted) -> None:
        """Takes a result; never waits."""
        self._shelf.put(matted)

    def work(self, timeout: float | None) -> None:
        """Writes one result, if one comes within ``timeout`` seconds."""
        matted = self._shelf.take(timeout)
        if matted is None or self.gone:
            return
        try:
            if not self.started:
                self.sink.start(self._show())
                self.started = True
            self.sink.write(matted)
        except GoneError:
            self._leave()
        except Exception as error:
            self._fail(error)
        else:
            self.written += 1
            self.latency.add(matted.captured_s)

    def end(self) -> None:
        """Takes no more results; those that wait are still written."""
        self._shelf.end()
        try:
            self.sink.hurry()
        except Exception as error:
            self._fail(error)

    def finish(self) -> None:
        """Writes what waits and lets the sink end. Called by the main thread."""
        self.end()
        if self._thread is not None:
            self._thread.join(self.sink.patience_s)
            if self._thread.is_alive():
                self._fail(Error(f"{self.sink.name} does not answer; it was left behind"))
        else:
            while not self._shelf.over:
                self.work(0)
            self._end()

    def _run(self) -> None:
        while not self._shelf.over:
            self.work(None)
        self._end()

    def _end(self) -> None:
        try:
            self.sink.finish()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, Error):
            log.debug("%s failed", self.sink.name, exc_info=error)
        if self.error is None and self._failed is not None:
            self._failed(error)
        self.error = self.error or error
        self._leave()

    def _leave(self) -> None:
        self.gone = True
        self._shelf.end()
        self._shelf.clear()
