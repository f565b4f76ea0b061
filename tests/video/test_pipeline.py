# SPDX-License-Identifier: Apache-2.0
"""The stages: in order, side by side, bounded, and stopped together by the first error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rmbg_trt.video.pipeline import run_pipeline


@dataclass
class Later:
    """A ticket."""

    value: int
    wait_s: float = 0.0

    def result(self) -> int:
        time.sleep(self.wait_s)
        if self.value < 0:
            raise ValueError("matte")
        return self.value * 10


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("rmbg-")]


def test_all_frames_in_order() -> None:
    written: list[Any] = []
    told: list[int] = []
    run_pipeline(range(50), Later, lambda *pair: written.append(pair), slots=2, progress=told.append)
    assert written == [(n, 10 * n) for n in range(50)]
    assert told == list(range(50))
    assert threads() == []


def test_the_stages_overlap() -> None:
    def slow() -> Iterator[int]:
        for number in range(12):
            time.sleep(0.03)
            yield number

    begin = time.perf_counter()
    run_pipeline(slow(), lambda n: Later(n, 0.03), lambda *_: time.sleep(0.03), slots=2)
    assert time.perf_counter() - begin < 3 * 12 * 0.03 * 0.75


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
