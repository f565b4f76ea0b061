# SPDX-License-Identifier: Apache-2.0
"""The stages: in order, side by side, bounded, and stopped together by the first error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rmbg_trt.video.pipeline import run_pipeline


@dataclass
class Later:
    """A ticket."""

    value: int
    before: Callable[[], Any] = lambda: None

    def result(self) -> int:
        self.before()
        if self.value < 0:
            raise ValueError("matte")
        return self.value * 10


def threads() -> list[str]:
    return [path.name for path in threading.enumerate() if path.name.startswith("rmbg-")]


def test_all_frames_in_order() -> None:
    written: list[Any] = []
    told: list[int] = []
    run_pipeline(range(50), Later, lambda *pair: written.append(pair), slots=2, progress=told.append)
    assert written == [(n, 10 * n) for n in range(50)]
    assert told == list(range(50))
    assert threads() == []


def test_the_stages_overlap() -> None:
    """While the first frame is written, the second is waited for, and the fifth is read."""
    meeting = threading.Barrier(3, timeout=60)  # passes only when all three are there

    def frames() -> Iterator[int]:
        for number in range(12):
            if number == 4:
                meeting.wait()
            yield number

    def submit(number: int) -> Later:
        return Later(number, meeting.wait if number == 1 else lambda: None)

    def write(number: int, result: int) -> None:
        if number == 0:
            meeting.wait()

    run_pipeline(frames(), submit, write, slots=2)


@pytest.mark.parametrize("slots", [1, 3])
def test_no_more_frames_are_in_work_than_the_queues_hold(slots: int) -> None:
    taken = written = most = 0

    def frames() -> Iterator[int]:
        nonlocal taken, most
        for number in range(60):
            taken += 1
            most = max(most, taken - written)
            yield number

    def write(frame: int, result: int) -> None:
        nonlocal written
        time.sleep(0.002)
        written += 1

    run_pipeline(frames(), Later, write, slots=slots)
    assert written == 60
    assert most <= 2 * (slots + 1) + slots + 4  # two queues, the engine's slots, and one in each stage's hands


def failing_frames() -> Iterator[int]:
    yield from range(5)
    raise ValueError("decode")


def failing_write(frame: int, result: int) -> None:
    if frame == 3:
        raise ValueError("encode")


@pytest.mark.parametrize(
    ("frames", "write", "message"),
    [
        (failing_frames, lambda *_: None, "decode"),
        (lambda: iter([1, 2, -1, *range(100)]), lambda *_: None, "matte"),
        (lambda: iter(range(1000)), failing_write, "encode"),
    ],
)
def test_the_first_error_stops_all(frames: Any, write: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_pipeline(frames(), Later, write, slots=2)
    assert threads() == []


def test_an_interrupt_stops_all() -> None:
    def interrupted(frame: int) -> None:
        if frame == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pipeline(iter(range(10**6)), Later, lambda *_: None, slots=2, progress=interrupted)
    assert threads() == []
