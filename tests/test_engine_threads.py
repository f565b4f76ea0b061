# SPDX-License-Identifier: Apache-2.0
"""Threads on one engine: their results, their speed, the GIL, and Ctrl-C."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes, reference
from tests.fakes import TIMEOUT_S, Gate, is_tag, join

from rmbg_trt import Engine

MakeEngine = Callable[..., Engine]


@pytest.mark.parametrize(("threads", "slots"), [(2, 2), (5, 2), (3, 1)])
def test_threads_on_one_engine_get_their_own_results(fake_engine: MakeEngine, threads: int, slots: int) -> None:
    engine = fake_engine(slots=slots, stretch="none")
    wrong: list[object] = []

    def work(me: int) -> None:
        try:
            for i in range(40):
                tag = (me * 40 + i) % 256
                frame = fakes.tagged(tag, 20 + i, 60 - i)
                alpha = engine.run(frame) if i % 2 else engine.submit(frame).result()
                if not is_tag(alpha, tag):
                    wrong.append((me, i))
        except BaseException as error:
            wrong.append(error)

    running = [threading.Thread(target=work, args=(me,), daemon=True) for me in range(threads)]
    for thread in running:
        thread.start()
    join(*running)
    assert wrong == []
    assert engine.profile()["frames"] == threads * 40


def frames_a_second(engine: Engine, frame: NDArray[np.uint8], threads: int, frames: int) -> float:
    def work() -> None:
        for _ in range(frames // threads):
            engine.run(frame)

    running = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    begin = time.perf_counter()
    for thread in running:
        thread.start()
    join(*running)
    return frames / (time.perf_counter() - begin)


def test_two_threads_overlap(fake_engine: MakeEngine) -> None:
    meeting = threading.Barrier(2, timeout=TIMEOUT_S)  # passes only when two frames are in the network
    engine = fake_engine(lambda _: meeting.wait() and 0, slots=2)
    frames_a_second(engine, fakes.tagged(1), threads=2, frames=8)
    assert not meeting.broken
    assert engine.profile()["frames"] == 8


@pytest.mark.slow
@pytest.mark.weights
def test_two_threads_on_a_real_network_are_no_slower_than_one(u2netp_path: Path) -> None:
    frame = reference.photograph("astronaut")
    with Engine(u2netp_path, color="rgb", slots=2) as engine:
        expected = engine.run(frame)
        gains = []
        for _ in range(10):  # other programs may disturb one of the two; hardly ten times in the same way
            one, two = (frames_a_second(engine, frame, threads, 4) for threads in (1, 2))
            gains.append(two / one)
            if gains[-1] > 0.8:
                break
        np.testing.assert_array_equal(engine.run(frame), expected)
    assert gains[-1] > 0.8, gains  # two threads share the cores that one has for itself


def longest_silence(engine: Engine) -> float:
    """The longest time in which another thread of Python did not get to run while a frame did, of the frame's 1."""
    frame = np.zeros((3000, 4000, 3), np.uint8)
    out = np.empty_like(frame)
    stop = threading.Event()
    stamps: list[float] = []

    def tick() -> None:
        while not stop.wait(0.001):
            stamps.append(time.perf_counter())

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        begin = time.perf_counter()
        engine.run(frame, output="composite", background="blur:30", out=out)
        end = time.perf_counter()
    finally:
        stop.set()
    join(thread)
    during = [begin, *(stamp for stamp in stamps if begin < stamp < end), end]
    return max(after - before for before, after in itertools.pairwise(during)) / (end - begin)


def test_the_gil_is_free_while_a_frame_runs(fake_engine: MakeEngine) -> None:
    """A frame takes hundreds of milliseconds in two stretches without Python.

    Held back, the other thread could show up only in the network's turn between them: never in the middle of either,
    however often it is tried. On a busy machine it may be late once, but not each time.
    """
    engine = fake_engine(lambda _: 0.5)
    silences = []
    while not silences or (silences[-1] >= 0.25 and len(silences) < 10):
        silences.append(longest_silence(engine))
    assert silences[-1] < 0.25, silences


def test_ctrl_c_reaches_a_running_frame_and_a_waiting_ticket(fake_engine: MakeEngine) -> None:
    gate = Gate()
    engine = fake_engine(gate, stretch="none")

    for call in (engine.run, lambda frame: engine.submit(frame).result()):
        thread = gate.signal_inside(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            call(fakes.tagged(1))
        join(thread)
    gate.open.set()
    assert is_tag(engine.run(fakes.tagged(2)), 2)
