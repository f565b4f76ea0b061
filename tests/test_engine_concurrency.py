# SPDX-License-Identifier: Apache-2.0
"""Frames in flight: tickets and map."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes
from tests.fakes import TIMEOUT_S, Gate, is_tag, join

from rmbg_trt import Engine, InputError, NetworkError

MakeEngine = Callable[..., Engine]


def fails_on_three(tensor: NDArray[np.float32]) -> float:
    if fakes.tag_of(tensor) == 3:
        raise ValueError("tag 3")
    return fakes.read_tag(tensor)


def uneven(tensor: NDArray[np.float32]) -> float:
    """Even tags take longer, so later frames are done before earlier ones."""
    time.sleep(0.02 if fakes.tag_of(tensor) % 2 == 0 else 0)
    return fakes.read_tag(tensor)


# ---- tickets ---------------------------------------------------------------------------------------------------


def test_submit_returns_at_once_and_the_ticket_waits(fake_engine: MakeEngine) -> None:
    gate = Gate()
    ticket = fake_engine(gate, stretch="none").submit(fakes.tagged(7))
    assert not ticket.done()
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=r"not done after 0.05 s"):
        ticket.result(timeout=0.05)
    assert 0.04 < time.monotonic() - before < 30
    with pytest.raises(TimeoutError):
        ticket.result(timeout=0)
    gate.open.set()
    assert is_tag(ticket.result(timeout=TIMEOUT_S), 7)
    assert ticket.done()
    assert ticket.result() is ticket.result()


def test_submit_waits_while_all_slots_are_busy(fake_engine: MakeEngine) -> None:
    gate = Gate()
    engine = fake_engine(gate, slots=2, stretch="none")
    tickets = [engine.submit(fakes.tagged(tag)) for tag in (0, 1)]
    assert gate.inside.acquire(timeout=TIMEOUT_S)
    assert gate.inside.acquire(timeout=TIMEOUT_S)  # both slots are in the network at once
    third = threading.Thread(target=lambda: tickets.append(engine.submit(fakes.tagged(2))))
    third.start()
    third.join(0.1)
    assert third.is_alive()
    gate.open.set()
    join(third)
    for tag, ticket in enumerate(tickets):
        assert is_tag(ticket.result(), tag)


def test_results_belong_to_their_frames(fake_engine: MakeEngine) -> None:
    engine = fake_engine(uneven, slots=3, stretch="none")
    tickets = [engine.submit(fakes.tagged(tag, 10 + tag, 50 - tag)) for tag in range(30)]
    for tag in reversed(range(30)):
        alpha = tickets[tag].result()
        assert alpha.shape == (10 + tag, 50 - tag)
        assert is_tag(alpha, tag)


def test_the_error_of_a_frame_hurts_no_other(fake_engine: MakeEngine) -> None:
    engine = fake_engine(fails_on_three, stretch="none")
    tickets = [engine.submit(fakes.tagged(tag)) for tag in range(6)]
    for tag, ticket in enumerate(tickets):
        if tag == 3:
            for _ in range(2):  # the error stays with its ticket
                with pytest.raises(NetworkError, match="ValueError: tag 3"):
                    ticket.result()
            assert ticket.done()
        else:
            assert is_tag(ticket.result(), tag)
    with pytest.raises(NetworkError, match="ValueError: tag 3"):
        engine.run(fakes.tagged(3))
    assert is_tag(engine.run(fakes.tagged(4)), 4)


@pytest.mark.slow
def test_tickets_may_be_dropped(fake_engine: MakeEngine) -> None:
    engine = fake_engine(stretch="none")
    frames = [fakes.tagged(tag) for tag in range(20)]
    alive = [weakref.ref(frame) for frame in frames]
    for frame in frames:
        engine.submit(frame)
    del frame
    frames.clear()
    engine.close()
    gc.collect()
    assert engine.profile()["frames"] == 20
    assert [ref() for ref in alive] == [None] * 20


@pytest.mark.slow
def test_a_frame_may_be_dropped_while_it_is_worked_on(fake_engine: MakeEngine) -> None:
    gate = Gate()
    engine = fake_engine(gate, stretch="none")
    ticket = engine.submit(np.ascontiguousarray(fakes.tagged(8, 300, 400)), output="cutout")
    gc.collect()
    trash = [np.full((300, 400, 3), 66, np.uint8) for _ in range(4)]
    gate.open.set()
    cutout = ticket.result()
    assert is_tag(cutout[:, :, 3], 8)
    assert (cutout[:, :, :3] == (255, 255, 8)).all()
    assert len(trash) == 4


def test_close_waits_for_the_frames_in_flight(fake_engine: MakeEngine) -> None:
    gate = Gate()
    engine = fake_engine(gate, stretch="none")
    tickets = [engine.submit(fakes.tagged(tag)) for tag in (4, 5)]
    closing = [threading.Thread(target=engine.close) for _ in range(2)]
    for thread in closing:
        thread.start()
    time.sleep(0.05)
    assert all(thread.is_alive() for thread in closing)
    gate.open.set()
    join(*closing)
    assert all(ticket.done() for ticket in tickets)
    assert [is_tag(ticket.result(), tag) for tag, ticket in zip((4, 5), tickets, strict=True)] == [True, True]


# ---- map -------------------------------------------------------------------------------------------------------


def test_map_keeps_the_order_and_mixes_sizes(fake_engine: MakeEngine) -> None:
    engine = fake_engine(uneven, slots=3, stretch="none")
    results = list(engine.map(fakes.tagged(tag, 5 + tag, 9) for tag in range(25)))
    assert len(results) == 25
    for tag, alpha in enumerate(results):
        assert alpha.shape == (5 + tag, 9)
        assert is_tag(alpha, tag)


def test_map_of_nothing_and_of_fewer_frames_than_slots(fake_engine: MakeEngine) -> None:
    engine = fake_engine(slots=4, stretch="none")
    assert list(engine.map([])) == []
    assert [int(alpha[0, 0]) for alpha in engine.map([fakes.tagged(3)])] == [3]


def test_map_passes_the_options_on(fake_engine: MakeEngine) -> None:
    engine = fake_engine(stretch="none")
    results = list(engine.map([fakes.tagged(0)], output="composite", background=(9, 8, 7)))
    assert (results[0] == (9, 8, 7)).all()


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_map_takes_from_an_endless_source_only_what_it_needs(fake_engine: MakeEngine, slots: int) -> None:
    taken = itertools.count()
    engine = fake_engine(slots=slots, stretch="none")

    def endless() -> Iterator[NDArray[np.uint8]]:
        for tag in taken:
            yield fakes.tagged(tag)

    results = engine.map(endless())
    for tag in range(6):
        assert is_tag(next(results), tag)
    results.close()
    assert 6 <= next(taken) <= 6 + slots + 1
    assert is_tag(engine.run(fakes.tagged(200)), 200)


def test_map_works_on_several_frames_at_once(fake_engine: MakeEngine) -> None:
    meeting = threading.Barrier(2)

    def predict(tensor: NDArray[np.float32]) -> float:
        meeting.wait(TIMEOUT_S)  # passes only when two frames are in the network
        return fakes.read_tag(tensor)

    engine = fake_engine(predict, slots=2, stretch="none")
    assert [int(alpha[0, 0]) for alpha in engine.map(map(fakes.tagged, range(6)))] == list(range(6))


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_map_raises_an_error_of_the_network_in_its_turn(fake_engine: MakeEngine, slots: int) -> None:
    engine = fake_engine(fails_on_three, slots=slots, stretch="none")
    got = []
    with pytest.raises(NetworkError, match="tag 3"):
        got.extend(int(alpha[0, 0]) for alpha in engine.map(map(fakes.tagged, range(9))))
    assert is_tag(engine.run(fakes.tagged(5)), 5)


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("fault", ["network", "frame"])
def test_map_gives_all_results_before_the_error(fake_engine: MakeEngine, slots: int, fault: str) -> None:
    engine = fake_engine(fails_on_three, slots=slots, stretch="none")
    frames: list[object] = [fakes.tagged(tag) for tag in range(9)]
    if fault == "frame":
        frames[3] = np.zeros((4, 4), np.float32)
    results = engine.map(frames)
    assert [int(next(results)[0, 0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NetworkError if fault == "network" else InputError):
        next(results)
    assert list(results) == []
    assert is_tag(engine.run(fakes.tagged(5)), 5)


def test_two_maps_share_an_engine(fake_engine: MakeEngine) -> None:
    engine = fake_engine(slots=2, stretch="none")
    pairs = zip(engine.map(map(fakes.tagged, range(20))), engine.map(map(fakes.tagged, range(100, 120))), strict=True)
    assert [(int(a[0, 0]), int(b[0, 0])) for a, b in pairs] == [(i, 100 + i) for i in range(20)]
