# SPDX-License-Identifier: Apache-2.0
"""Closed loop: a fixed number of frames in flight; each client asks for the next frame when it has its last one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .clients import clients

Serve = Callable[[int, int], object]
"""``serve(client, index)`` takes one frame to its result."""


@dataclass(frozen=True)
class Limits:
    """When a turn ends.

    Attributes:
        seconds: Of timed frames; 0 to go by ``least`` alone.
        least: Frames of all clients together, at least.
        most: As ``least``, at most.
        warmup: Frames of each client before, not timed.
        settle_s: Seconds of warm-up, at least.
    """

    seconds: float
    least: int
    most: int
    warmup: int = 2
    settle_s: float = 0.0


def closed_loop(
    serve: Serve,
    limits: Limits,
    *,
    in_flight: int = 1,
    begun: Callable[[], None] = lambda: None,
    pause: Callable[[], None] = lambda: None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[list[float]]:
    """Times frames.

    Args:
        serve: Takes one frame to its result. With one in flight it is called on this thread, else on one for each.
        limits: When to end.
        in_flight: Clients.
        begun: Called once, between warm-up and the first timed frame.
        pause: Called by the only client after every 100 frames, not timed; not where there are several.
        clock: Nanoseconds.

    Returns:
        Latencies in milliseconds of each client, in its order: from before the call to after it.
    """
    stopped = threading.Event()
    gate = threading.Barrier(in_flight, action=begun)
    latencies: list[list[float]] = [[] for _ in range(in_flight)]
    # Rounded up, so that all clients together have at least that many.
    least, most = -(-limits.least // in_flight), -(-limits.most // in_flight)

    def warm_up(client: int) -> None:
        until = clock() + int(1e9 * limits.settle_s)
        done = 0
        while (done < limits.warmup or clock() < until) and not stopped.is_set():
            serve(client, done)
            done += 1

    def body(client: int) -> None:
        warm_up(client)  # in this very thread, as runtimes keep things for each
        gate.wait()
        begin = clock()
        until = begin + int(1e9 * limits.seconds)
        mine = latencies[client]
        while not stopped.is_set() and len(mine) < most and (len(mine) < least or clock() < until):
            start = clock()
            serve(client, len(mine))
            mine.append((clock() - start) / 1e6)
            if in_flight == 1 and len(mine) % 100 == 0:
                pause()

    def stop() -> None:
        stopped.set()
        gate.abort()

    if in_flight == 1:
        body(0)
    else:
        with clients(in_flight, body, stop):
            pass
    return latencies


def throughput(latencies: list[list[float]]) -> float:
    """Frames a second: the clients' own rates together, so that it does not matter which of them ends last.

    Args:
        latencies: As ``closed_loop`` gives them. Clients ask again at once, so their latencies fill the time.
    """
    return sum(1e3 * len(each) / sum(each) for each in latencies if sum(each) > 0)
