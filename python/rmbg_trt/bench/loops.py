# SPDX-License-Identifier: Apache-2.0
"""Two ways to time frames: a closed loop with a fixed number in flight, and an open loop with a fixed frame rate.

In the closed loop, each client asks for its next frame when it has the last one. In the open loop, frames arrive on
schedule, as from a camera, and latency counts from the scheduled time. So a stall shows in every frame that arrived
during it, not only in the one that was running ("coordinated omission", which a closed loop cannot see).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Serve = Callable[[int, int], object]
"""``serve(client, index)`` runs one frame and waits for its result."""


@dataclass(frozen=True)
class Limits:
    """When a closed loop ends."""

    seconds: float  # duration of the timed part; 0 to go by `least` alone
    least: int  # minimum number of frames, over all clients
    most: int  # maximum number of frames, over all clients
    warmup: int = 2  # untimed frames of each client before
    settle_s: float = 0.0  # minimum duration of the warm-up


def closed_loop(
    serve: Serve,
    limits: Limits,
    *,
    in_flight: int = 1,
    begun: Callable[[], None] = lambda: None,
    pause: Callable[[], None] = lambda: None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[list[float]]:
    """Times frames with ``in_flight`` clients.

    Args:
        serve: Runs one frame. With one client it is called on this thread, else on a thread for each client.
        limits: When to end.
        in_flight: Number of clients.
        begun: Called once, between warm-up and the first timed frame.
        pause: With one client only: called after every 100 frames, not timed.
        clock: Nanoseconds.

    Returns:
        For each client, the latencies of its frames in milliseconds, in order.
    """
    stopped = threading.Event()
    gate = threading.Barrier(in_flight, action=begun)
    latencies: list[list[float]] = [[] for _ in range(in_flight)]
    # Rounded up, so that all clients together reach the minimum.
    least, most = -(-limits.least // in_flight), -(-limits.most // in_flight)

    def warm_up(client: int) -> None:
        until = clock() + int(1e9 * limits.settle_s)
        done = 0
        while (done < limits.warmup or clock() < until) and not stopped.is_set():
            serve(client, done)
            done += 1

    def body(client: int) -> None:
        warm_up(client)  # in the same thread, because runtimes keep state per thread
        gate.wait()
        until = clock() + int(1e9 * limits.seconds)
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
        with _threads(in_flight, body, stop):
            pass
    return latencies


def throughput(latencies: list[list[float]]) -> float:
    """Frames per second: the sum of the clients' own rates, so that it does not matter which client ends last.

    Args:
        latencies: As from `closed_loop`. Clients never idle, so their latencies add up to their running time.
    """
    return sum(1e3 * len(each) / sum(each) for each in latencies if sum(each) > 0)


@dataclass(frozen=True)
class Arrivals:
    """The frames of one open loop."""

    rate: float  # frames per second that arrived
    due_ms: list[float]  # when each frame was due, after the first
    latency_ms: list[float | None]  # from then to its result; None for a frame that was dropped
    late_ms: float  # the largest delay of the scheduler itself; it is part of the latencies
    waiting: int  # frames in the queue when the last one had arrived
    workers: int  # frames in flight

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
        """Whether the engine kept up: nothing dropped, and no backlog at the end."""
        return self.dropped == 0 and self.waiting <= self.workers

    @property
    def served_per_second(self) -> float:
        """Results per second, from the first arrival to the last result."""
        ends = [due + each for due, each in zip(self.due_ms, self.latency_ms, strict=True) if each is not None]
        return 1e3 * len(ends) / max(max(ends), len(self.due_ms) * 1e3 / self.rate) if ends else 0.0


def open_loop(serve: Serve, *, rate: float, seconds: float, workers: int = 1, queue: int = 1) -> Arrivals:
    """Times frames that arrive on schedule.

    Args:
        serve: Runs one frame; called on ``workers`` threads.
        rate: Frames per second.
        seconds: How long frames arrive; there is at least one.
        workers: Frames in flight.
        queue: Frames that may wait for a worker. A frame that finds the queue full is dropped.
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
    with _threads(workers, body, stop):
        begin = time.perf_counter_ns() + 2_000_000  # the workers are waiting by then
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


@contextlib.contextmanager
def _threads(count: int, body: Callable[[int], None], stop: Callable[[], None]) -> Iterator[None]:
    """Runs ``body(0)`` to ``body(count - 1)`` in threads beside the block, and leaves it when all have ended.

    ``stop`` makes them end soon. It is called when one of them, or the block, fails; also on Ctrl-C. The first error of
    a thread is raised if the block had none.
    """
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            body(index)
        except BaseException as error:
            errors.append(error)
            stop()

    threads = [threading.Thread(target=guarded, args=(index,), name=f"bench-{index}") for index in range(count)]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        yield
        _join(started)
    except BaseException:
        stop()
        _join(started)
        raise
    real = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
    if errors:
        raise (real or errors)[0]


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # with a timeout, so that Ctrl-C gets through on every system
