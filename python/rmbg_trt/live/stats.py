# SPDX-License-Identifier: Apache-2.0
"""Statistics: latency and frame rate of the last seconds for the overlay, of the whole run for the report."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_RECENT_S = 3.0
_BIN_MS = 0.5
_BINS = 40_000  # up to 20 s; anything slower counts as 20 s


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles of latency.

    Attributes:
        count: Number of values.
        p50_ms: The median.
        p95_ms: The 95th percentile.
        max_ms: The largest.
    """

    count: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    max_ms: float = 0.0


class LatencyTracker:
    """Collects latencies in constant memory, however long it runs. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, float]] = deque()
        self._bins = np.zeros(_BINS, np.int64)
        self._largest_ms = 0.0

    def add(self, captured_s: float) -> None:
        """Record that the frame captured at ``captured_s`` (`time.monotonic`) is done now."""
        now = time.monotonic()
        latency_ms = 1e3 * (now - captured_s)
        with self._lock:
            self._recent.append((now, latency_ms))
            while self._recent[0][0] < now - _RECENT_S:
                self._recent.popleft()
            self._bins[min(int(latency_ms / _BIN_MS), _BINS - 1)] += 1
            self._largest_ms = max(self._largest_ms, latency_ms)

    def recent(self) -> tuple[float, LatencySummary]:
        """Frames per second and latency of the last three seconds."""
        with self._lock:
            recent = list(self._recent)
        now = time.monotonic()
        values = [latency_ms for at, latency_ms in recent if at >= now - _RECENT_S]
        if not values:
            return 0.0, LatencySummary()
        span = max(recent[-1][0] - recent[0][0], 1e-3)
        p50, p95, largest = (float(value) for value in np.percentile(values, (50, 95, 100)))
        return (len(recent) - 1) / span if len(recent) > 1 else 0.0, LatencySummary(len(values), p50, p95, largest)

    def total(self) -> LatencySummary:
        """Latency of the whole run, to half a millisecond."""
        with self._lock:
            ranks = np.cumsum(self._bins)
            largest = self._largest_ms
        count = int(ranks[-1])
        if count == 0:
            return LatencySummary()
        p50, p95 = (min((int(np.searchsorted(ranks, share * count)) + 1) * _BIN_MS, largest) for share in (0.5, 0.95))
        return LatencySummary(count, p50, p95, largest)


@dataclass(frozen=True)
class Status:
    """The current state, for the overlay.

    Attributes:
        fps: Results per second over the last seconds.
        latency: From capture to display over the last seconds.
        dropped: Frames dropped so far because the network was busy.
        notes: Short messages: paused, recording, reconnecting, ...
        overlay: Whether to show statistics.
        alpha_view: Whether to show the alpha.
        help: Whether to show the keys.
    """

    fps: float
    latency: LatencySummary
    dropped: int
    notes: tuple[str, ...] = ()
    overlay: bool = True
    alpha_view: bool = False
    help: bool = False


@dataclass(frozen=True)
class SinkReport:
    """Statistics of one sink.

    Attributes:
        written: Results that it wrote or showed.
        dropped: Results dropped because it was too slow.
        latency: From capture until a result was shown or written.
        error: The error that stopped it; "" if there was none.
    """

    written: int
    dropped: int
    latency: LatencySummary
    error: str = ""


@dataclass(frozen=True)
class LiveReport:
    """Statistics of a run.

    Attributes:
        seconds: Duration of the run.
        frames: Frames that the source delivered.
        matted: Frames that the network processed.
        dropped: Frames dropped because the network was busy; those skipped by ``fps`` or a pause do not count.
        reconnects: How many times a lost source was reopened.
        latency: From capture until the network's result.
        sinks: Report of each sink, by its name; for a recording that is its file.
    """

    seconds: float
    frames: int
    matted: int
    dropped: int
    reconnects: int
    latency: LatencySummary
    sinks: Mapping[str, SinkReport] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        """Errors of sinks that failed while the others went on."""
        return [f"{name}: {sink.error}" for name, sink in self.sinks.items() if sink.error]
