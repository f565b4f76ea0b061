# SPDX-License-Identifier: Apache-2.0
"""Open loop: frames arrive on schedule, whether or not the engine is ready, as from a camera.

A latency counts from the time at which the frame was to arrive. So a stall shows in all frames that arrived in it, and
not only in the one that was in work ("coordinated omission", which a closed loop is blind to).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from .clients import clients
from .closed_loop import Serve


@dataclass(frozen=True)
class Arrivals:
    """What became of the frames of one turn.

    Attributes:
        rate: Frames a second that arrived.
        due_ms: When each was to arrive, after the first.
        latency_ms: From then to its result, for each; None for a frame that was dropped.
        late_ms: How late the scheduler itself was at worst; it is part of the latencies.
        waiting: Frames in the queue when the last one had arrived.
        workers: Frames in work at once.
    """

    rate: float
    due_ms: list[float]
    latency_ms: list[float | None]
    late_ms: float
    waiting: int
    workers: int

    @property
    def done(self) -> list[float]:
        """Latencies of the frames that were not dropped, in order of arrival."""
        return [each for each in self.latency_ms if each is not None]

    @property
    def dropped(self) -> int:
        """Frames that found the queue full."""
        return self.latency_ms.count(None)

    @property
    def held(self) -> bool:
        """Whether the rate was held: nothing dropped, and no backlog at the end."""
        return self.dropped == 0 and self.waiting <= self.workers

    @property
    def served_per_second(self) -> float:
        """Results a second, from the first arrival to the last result."""
        ends = [due + each for due, each in zip(self.due_ms, self.latency_ms, strict=True) if each is not None]
        return 1e3 * len(ends) / max(max(ends), len(self.due_ms) * 1e3 / self.rate) if ends else 0.0


def open_loop(serve: Serve, *, rate: float, seconds: float, workers: int = 1, queue: int = 1) -> Arrivals:
    """Lets frames arrive on schedule.

    Args:
        serve: Takes one frame to its result; called on ``workers`` threads.
        rate: Frames a second.
        seconds: How long frames arrive; at least one does.
        workers: Frames in work at once.
        queue: Frames that may wait for a worker. One that finds it full is dropped.
    """
    count = max(1, round(rate * seconds))
    waiting: deque[int] = deque()
    changed = threading.Condition()
    ended = False
    due = [0] * count
    latency: list[float | None] = [None] * count

    def body(worker: int) -> None:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    return
                index = waiting.popleft()
            serve(worker, index)
            latency[index] = (time.perf_counter_ns() - due[index]) / 1e6

    def end() -> None:
        nonlocal ended
        with changed:
            ended = True
            changed.notify_all()

    def stop() -> None:
        waiting.clear()
        end()

    late = 0
    with clients(workers, body, stop):
        begin = time.perf_counter_ns() + 2_000_000  # the workers are at their places by then
        due[:] = [begin + round(1e9 * index / rate) for index in range(count)]
        for index in range(count):
            _sleep_until(due[index])
            late = max(late, time.perf_counter_ns() - due[index])
            with changed:
                if ended:  # a worker failed
                    break
                if len(waiting) < queue:
                    waiting.append(index)
                    changed.notify()
        left = len(waiting)
        end()
    return Arrivals(rate, [(each - begin) / 1e6 for each in due], latency, late / 1e6, left, workers)


def _sleep_until(due_ns: int) -> None:
    while (left := due_ns - time.perf_counter_ns()) > 0:
        time.sleep(left / 1e9)
