# SPDX-License-Identifier: Apache-2.0
"""Plays a recording in real time: a frame is shown when its presentation time has come."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

_MAX_LAG_S = 0.5  # a file that falls further behind, after a pause or slow decoding, continues from there


class Pacer:
    """Delays frames until their presentation time."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    def wait(self, time_s: Fraction, stop: threading.Event) -> None:
        """Wait until the frame shown at ``time_s`` is due, or ``stop`` is set."""
        now = time.monotonic()
        due = now if self._start_s is None else self._start_s + float(time_s)
        if self._start_s is None or due < now - _MAX_LAG_S:
            self._start_s = now - float(time_s)
        elif due > now:
            stop.wait(due - now)
