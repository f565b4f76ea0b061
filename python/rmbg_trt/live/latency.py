# SPDX-License-Identifier: Apache-2.0
"""How old pictures are when they are shown: of the last seconds for the eye, of the whole run for the report."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

_RECENT_S = 3.0
_BIN_MS = 0.5
_BINS = 40_000  # up to 20 s; what is older counts as that


@dataclass(frozen=True)
class Spread:
    """Percentiles of latencies.

    Attributes:
        count: How many there were.
        p50_ms: The median.
        p95_ms: What 95 in 100 do not exceed.
        max_ms: The largest.
    """

    count: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    max_ms: float = 0.0


class Latency:
    """Collects latencies. Its memory does not grow, however long it runs. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, float]] = deque()
        self._bins = np.zeros(_BINS, np.int64)
        self._largest_ms = 0.0

    def add(self, captured_s: float) -> None:
        """A frame that came at ``captured_s`` (`time.monotonic`) is there now."""
        now = time.monotonic()
        latency_ms = 1e3 * (now - captured_s)
        with self._lock:
            self._recent.append((now, latency_ms))
            while self._recent[0][0] < now - _RECENT_S:
                self._recent.popleft()
            self._bins[min(int(latency_ms / _BIN_MS), _BINS - 1)] += 1
            self._largest_ms = max(self._largest_ms, latency_ms)

    def recent(self) -> tuple[float, Spread]:
        """Frames a second, and the latencies, of the last three seconds."""
        with self._lock:
            recent = list(self._recent)
        now = time.monotonic()
        values = [latency_ms for at, latency_ms in recent if at >= now - _RECENT_S]
        if not values:
            return 0.0, Spread()
        span = max(recent[-1][0] - recent[0][0], 1e-3)
        low, high, most = (float(each) for each in np.percentile(values, (50, 95, 100)))
        return (len(recent) - 1) / span if len(recent) > 1 else 0.0, Spread(len(values), low, high, most)

    def whole(self) -> Spread:
        """Of the whole run, to half a millisecond."""
        with self._lock:
            ranks = np.cumsum(self._bins)
            largest = self._largest_ms
        count = int(ranks[-1])
        if count == 0:
            return Spread()
        low, high = (min((int(np.searchsorted(ranks, share * count)) + 1) * _BIN_MS, largest) for share in (0.5, 0.95))
        return Spread(count, low, high, largest)
