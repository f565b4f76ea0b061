# SPDX-License-Identifier: Apache-2.0
"""Closed and open loop against servers whose latency is known."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from rmbg_trt.bench.loops import Arrivals, Limits, _sleep_until, closed_loop, open_loop, throughput


class Clock:
    """Nanoseconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now

    def serve(self, *milliseconds: float) -> list[int]:
        """Makes ``self.frame`` take these times, again and again; gives the list of frames asked for."""
        asked: list[int] = []

        def frame(client: int, index: int) -> None:
            asked.append(index)
            self.now += round(1e6 * milliseconds[(len(asked) - 1) % len(milliseconds)])

        self.frame = frame
        return asked


# ---- closed loop -----------------------------------------------------------------------------------------------------


def test_latencies_are_exact_and_warm_up_does_not_count() -> None:
    clock = Clock()
    asked = clock.serve(900, 900, 5, 7.5, 6)
    begun: list[int] = []
    found = closed_loop(
        clock.frame, Limits(0, least=3, most=3, warmup=2), begun=lambda: begun.append(len(asked)), clock=clock
    )
    assert found == [[5, 7.5, 6]]
    assert begun == [2]
    assert throughput(found) == pytest.approx(1e3 * 3 / 18.5)


def test_a_turn_takes_its_seconds_within_least_and_most() -> None:
    for milliseconds, expected in ((10, 100), (500, 5), (1, 200)):
        clock = Clock()
        clock.serve(milliseconds)
        found = closed_loop(clock.frame, Limits(1.0, least=5, most=200, warmup=0), clock=clock)
        assert len(found[0]) == expected, milliseconds


def test_warm_up_goes_on_until_the_clock_of_the_gpu_is_up() -> None:
    clock = Clock()
    asked = clock.serve(100)
    closed_loop(clock.frame, Limits(0, 1, 1, warmup=2, settle_s=0.95), clock=clock)
    assert len(asked) == 10 + 1


def test_pauses_are_not_timed() -> None:
    clock = Clock()
    clock.serve(1)
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(clock.now)
        clock.now += 10**9

    [found] = closed_loop(clock.frame, Limits(0, 250, 250, warmup=0), pause=pause, clock=clock)
    assert len(pauses) == 2
    assert found == [1.0] * 250


def test_several_clients_are_in_flight_at_once_and_have_numbers() -> None:
    inside = threading.Barrier(3)  # passes only while all three are in a frame
    seen: set[int] = set()

    def serve(client: int, index: int) -> None:
        seen.add(client)
        inside.wait(60)

    found = closed_loop(serve, Limits(0, 10, 10, warmup=1), in_flight=3)
    assert [len(each) for each in found] == [4, 4, 4]  # ten, rounded up to the same for all
    assert seen == {0, 1, 2}
    assert throughput([[10.0, 10.0], [20.0]]) == pytest.approx(100 + 50)


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("fails_at", [0, 4])
def test_an_error_of_a_frame_ends_all_clients(in_flight: int, fails_at: int) -> None:
    def serve(client: int, index: int) -> None:
        time.sleep(0.001)
        if client == in_flight - 1 and index == fails_at:
            raise RuntimeError("the network failed")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the network failed"):
        closed_loop(serve, Limits(60, 5, 10**6, warmup=2), in_flight=in_flight)
    assert threading.active_count() <= before


# ---- open loop -------------------------------------------------------------------------------------------------------


def test_a_stall_shows_in_every_frame_that_arrived_in_it() -> None:
    """Coordinated omission: a closed loop sees one slow frame; a camera would have seen thirty."""
    stall_s, rate = 0.3, 100

    def serve(client: int, index: int) -> None:
        time.sleep(stall_s if index == 5 else 0.001)

    found = open_loop(serve, rate=rate, seconds=0.5, queue=1000)
    assert found.dropped == 0
    assert len(found.done) == 50
    # A frame due t after the stalled one cannot be done before the stall is over: true on any machine, however busy.
    for index in range(5, 35):
        latency = found.latency_ms[index]
        assert latency is not None
        assert latency >= 1e3 * stall_s - (index - 5) * 1e3 / rate - 0.01
    assert sum(each > 100 for each in found.done) >= 20
    clock = Clock()
    clock.serve(*[1] * 5, 1e3 * stall_s, *[1] * 44)
    [closed] = closed_loop(clock.frame, Limits(0, 50, 50, warmup=0), clock=clock)
    assert (sorted(closed)[48], max(closed)) == (1, 300)  # one frame alone has heard of the stall


def test_frames_that_find_the_queue_full_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame is in work until the last one arrives, which finds the queue full or just emptied."""
    served: list[int] = []
    arrived, last = itertools.count(1), threading.Event()

    def sleep_until(due_ns: int) -> None:
        _sleep_until(due_ns)
        if next(arrived) == 60:
            last.set()

    def serve(client: int, index: int) -> None:
        assert last.wait(60)
        served.append(index)

    monkeypatch.setattr("rmbg_trt.bench.loops._sleep_until", sleep_until)
    found = open_loop(serve, rate=1000, seconds=0.06, queue=2)
    assert found.dropped + len(found.done) == 60
    assert [index for index, value in enumerate(found.latency_ms) if value is not None] == served == sorted(served)
    assert served[:2] == [0, 1]
    assert len(served) <= 1 + 2 + 1
    assert not found.held
    assert found.waiting <= 2


def test_latency_counts_from_the_schedule_and_arrivals_are_even() -> None:
    found = open_loop(lambda client, index: time.sleep(0.02), rate=40, seconds=0.25, queue=5)
    assert found.due_ms == pytest.approx([25 * index for index in range(10)], abs=1e-3)
    assert min(found.done) >= 20
    assert found.late_ms >= 0


def test_workers_serve_side_by_side() -> None:
    together = threading.Barrier(2)
    clients: set[int] = set()

    def serve(client: int, index: int) -> None:
        clients.add(client)
        together.wait(60)

    found = open_loop(serve, rate=200, seconds=0.1, workers=2, queue=50)
    assert clients == {0, 1}
    assert len(found.done) == 20


def test_an_error_in_the_open_loop_ends_it() -> None:
    def serve(client: int, index: int) -> None:
        if index == 3:
            raise RuntimeError("the network failed")

    begin = time.perf_counter()
    with pytest.raises(RuntimeError, match="the network failed"):
        open_loop(serve, rate=50, seconds=300, workers=2, queue=4)
    assert time.perf_counter() - begin < 200


def test_a_rate_is_held_only_without_drops_and_without_a_backlog() -> None:
    def arrivals(latency: list[float | None], waiting: int) -> Arrivals:
        return Arrivals(10.0, [0.0, 100.0, 200.0], latency, 0.1, waiting, workers=1)

    assert arrivals([5.0, 5.0, 5.0], 0).held
    assert not arrivals([5.0, None, 5.0], 0).held
    assert not arrivals([5.0, 5.0, 5.0], 2).held
    assert arrivals([5.0, 5.0, 5.0], 0).served_per_second == pytest.approx(10)
    assert arrivals([5.0, None, 800.0], 0).served_per_second == pytest.approx(2)
    assert arrivals([None, None, None], 0).served_per_second == 0
