# SPDX-License-Identifier: Apache-2.0
"""The base class of sinks, and the worker that feeds one: a slow sink drops results and never holds up the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Error
from .capture import LatestQueue
from .matted_frame import MattedFrame
from .stats import LatencyTracker, Status

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamInfo:
    """What a sink knows before the first result.

    Attributes:
        size: (height, width) of all results.
        rate: Highest frame rate to expect.
        status: Returns the current state.
    """

    size: tuple[int, int]
    rate: float
    status: Callable[[], Status]


class SinkClosedError(Exception):
    """The receiving end was closed: the reader of a pipe ended, for example. This ends the sink without an error."""


class Sink:
    """A destination for results. ``start``, ``write`` and ``finish`` are called by the same thread.

    Attributes:
        name: Name in messages and in the report.
        queue_length: Results that may wait for it; when the queue is full, the oldest is dropped.
        main_thread: Whether the thread that called `LiveMatter.run` must serve it, as windows require.
        finish_timeout_s: How long to wait for it at the end; None waits as long as it takes.
    """

    name = "sink"
    queue_length = 1
    main_thread = False
    finish_timeout_s: float | None = 5.0

    def start(self, info: StreamInfo) -> None:
        """Prepare for the first result. Raises `Error` if it cannot work."""

    def write(self, matted: MattedFrame) -> None:
        """Write or show a result. Raises `Error` or `SinkClosedError`."""

    def stop_waiting(self) -> None:
        """Called from another thread when no more results come: a blocked ``write`` must return soon."""

    def finish(self) -> None:
        """Called after the last result, also after an error. Raises `Error` if the output is incomplete."""

    def key(self) -> str:
        """Return the key that was pressed, or "". Only called for sinks on the main thread, after ``start``."""
        return ""

    def refresh(self) -> None:
        """Show the last result again. Only called for sinks on the main thread, after ``start``."""


class SinkWorker:
    """Feeds results to a sink, in a thread of its own unless the sink needs the main thread.

    Args:
        sink: The sink.
        stream_info: Returns what the sink must know; called before the first result.
        on_error: Called with the error if the sink fails. Only for an optional sink, one that was added later: the run
            goes on without it.

    Attributes:
        sink: The sink.
        optional: Whether the run goes on without it.
        written: Results that the sink took.
        latency: From capture until those results were shown or written.
        error: The first error, if any.
        started: Whether the sink has started.
        closed: Whether the sink failed or was closed.
    """

    def __init__(
        self, sink: Sink, stream_info: Callable[[], StreamInfo], on_error: Callable[[Exception], None] | None = None
    ) -> None:
        self.sink = sink
        self.optional = on_error is not None
        self.written = 0
        self.latency = LatencyTracker()
        self.error: Exception | None = None
        self.started = self.closed = False
        self._stream_info, self._on_error = stream_info, on_error
        self._queue: LatestQueue[MattedFrame] = LatestQueue(sink.queue_length)
        self._thread: threading.Thread | None = None
        if not sink.main_thread:
            self._thread = threading.Thread(target=self._drain, args=(None,), name=f"rmbg-{sink.name}", daemon=True)
            self._thread.start()

    @property
    def dropped(self) -> int:
        """Results dropped because the sink was too slow."""
        return self._queue.dropped

    @property
    def ended(self) -> bool:
        """Whether it accepts no more results."""
        return self._queue.closed

    def put(self, matted: MattedFrame) -> None:
        """Queue a result. Never blocks."""
        self._queue.put(matted)

    def write_next(self, timeout: float | None) -> None:
        """Write one result if one arrives within ``timeout`` seconds."""
        matted = self._queue.get(timeout)
        if matted is None or self.closed:
            return
        try:
            if not self.started:
                self.sink.start(self._stream_info())
                self.started = True
            self.sink.write(matted)
        except SinkClosedError:
            self._close()
        except Exception as error:
            self._fail(error)
        else:
            self.written += 1
            self.latency.add(matted.captured_s)

    def end(self) -> None:
        """Accept no more results; queued ones are still written."""
        self._queue.close()
        try:
            self.sink.stop_waiting()
        except Exception as error:
            self._fail(error)

    def finish(self) -> None:
        """Write what is queued and finish the sink. Called by the main thread."""
        self.end()
        if self._thread is None:
            self._drain(0)
            return
        self._thread.join(self.sink.finish_timeout_s)
        if self._thread.is_alive():
            self._fail(Error(f"{self.sink.name} does not respond and was abandoned"))

    def _drain(self, timeout: float | None) -> None:
        while not self._queue.exhausted:
            self.write_next(timeout)
        try:
            self.sink.finish()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, Error):
            log.debug("%s failed", self.sink.name, exc_info=error)
        if self.error is None and self._on_error is not None:
            self._on_error(error)
        self.error = self.error or error
        self._close()

    def _close(self) -> None:
        self.closed = True
        self._queue.close()
        self._queue.clear()
