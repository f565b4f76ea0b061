# SPDX-License-Identifier: Apache-2.0
"""The thread that reads: the newest frame only, rates, losses, loops, pauses, and sources that give nothing."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.live.parts import TIMEOUT_S, NumberedSource, coded, until

from rmbg_trt.errors import Error
from rmbg_trt.live import LiveOptions, capture
from rmbg_trt.live.capture import Capture, LiveFrame


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(capture, "_LONGEST_WAIT_S", 0.04)


class Reading:
    """A capture in a thread, and what it says."""

    def __init__(self, source: Any, **options: Any) -> None:
        self.stop, self.paused, self.said = threading.Event(), threading.Event(), list[str]()
        self.capture = Capture(
            source, LiveOptions(**options), stop=self.stop, paused=self.paused.is_set, tell=self.said.append
        )

    def all(self) -> list[LiveFrame]:
        """Everything, with nothing dropped: the shelf is made long."""
        self.capture.shelf._length = 1 << 20
        self.capture.run()
        return self.taken()

    def begin(self) -> None:
        """As `all`, in a thread."""
        self.capture.shelf._length = 1 << 20
        self.thread = threading.Thread(target=self.capture.run, daemon=True)
        self.thread.start()

    def end(self) -> list[LiveFrame]:
        self.stop.set()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()
        return self.taken()

    def taken(self) -> list[LiveFrame]:
        shelf = self.capture.shelf
        return [frame for frame in iter(lambda: shelf.take(0), None) if frame is not None]


def test_all_frames_of_a_file_and_the_newest_when_nobody_takes_them() -> None:
    frames = Reading(NumberedSource(ends=[9], live=False)).all()
    assert [frame.number for frame in frames] == list(range(9))
    assert (frames[4].picture() == coded(4)).all()
    reading = Reading(NumberedSource(ends=[9], live=False))
    reading.capture.run()
    newest = reading.capture.shelf.take(0)
    assert newest is not None
    assert (newest.number, reading.capture.shelf.dropped, reading.capture.frames) == (8, 8, 9)


def test_a_picture_is_not_made_of_a_frame_that_is_dropped() -> None:
    made: list[int] = []
    source = NumberedSource(ends=[50], live=False, picture=lambda number: made.append(number) or coded(number))
    reading = Reading(source)
    reading.capture.run()
    assert reading.capture.shelf.take(0) is not None
    assert made == []


@pytest.mark.parametrize("early_s", [0.0, 0.003])
def test_a_rate_thins_frames_out_evenly(early_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 frames a second, by the source's own clock; also where some of those that are due come a bit early."""
    source = NumberedSource(ends=[60], live=False)
    clock = SimpleNamespace(monotonic=lambda: 1000 + source.number / 100 - early_s * (source.number % 8 == 5))
    monkeypatch.setattr(capture, "time", clock)
    frames = Reading(source, fps=25).all()
    assert [frame.number for frame in frames] == list(range(0, 60, 4))


def test_a_rate_that_does_not_divide_the_sources_is_held_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    source = NumberedSource(ends=[60], live=False)
    monkeypatch.setattr(capture, "time", SimpleNamespace(monotonic=lambda: 1000 + source.number / 100))
    numbers = [frame.number for frame in Reading(source, fps=30).all()]
    assert len(numbers) == 18
    assert set(np.diff(numbers)) == {3, 4}


def test_a_source_slower_than_the_rate_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = NumberedSource(ends=[20], live=False)
    monkeypatch.setattr(capture, "time", SimpleNamespace(monotonic=lambda: 1000 + source.number / 20))
    assert len(Reading(source, fps=25).all()) == 20


def test_a_loop_begins_again_as_another_scene() -> None:
    source = NumberedSource(ends=[4], live=False)
    reading = Reading(source, loop=True)
    reading.begin()
    until(lambda: reading.capture.frames > 9)
    assert [frame.scene for frame in reading.end()][:10] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert source.closed > 2


def test_a_lost_camera_is_found_again_and_counted() -> None:
    source = NumberedSource(ends=[3, 2, 1, 0], absent=2)
    reading = Reading(source, reconnect=3)
    with pytest.raises(Error, match=r"a fake camera is lost after 3 tries: it gives no more frames"):
        reading.all()
    assert (reading.capture.frames, reading.capture.reconnects) == (6, 2)
    assert reading.said[0] == "a fake camera is lost (it gives no more frames); looking for it in 0.01 s"
    assert reading.said[1] == "a fake camera is lost (nobody there); looking for it in 0.02 s"
    assert reading.said[2:4] == [
        "a fake camera is lost (nobody there); looking for it in 0.04 s",
        "a fake camera is there again",
    ]
    assert source.closed >= source.opened


def test_without_reconnecting_a_loss_is_the_end() -> None:
    with pytest.raises(Error, match=r"^a fake camera is lost: it gives no more frames$"):
        Reading(NumberedSource(ends=[3]), reconnect=0).all()


def test_looking_for_a_camera_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 10 * TIMEOUT_S)
    monkeypatch.setattr(capture, "_LONGEST_WAIT_S", 10 * TIMEOUT_S)
    reading = Reading(NumberedSource(ends=[1]))
    reading.begin()
    until(lambda: reading.capture.lost)
    reading.end()


class Refusing(NumberedSource):
    def open(self) -> None:
        raise Error("camera 7 cannot be opened")


def test_what_was_never_there_is_not_looked_for() -> None:
    reading = Reading(Refusing())
    with pytest.raises(Error, match="camera 7 cannot be opened"):
        reading.capture.run()
    assert reading.said == []
    assert reading.capture.shelf.over


@pytest.mark.parametrize(
    ("live", "message"), [(True, "opens, but gives no frame"), (False, "holds no frame that can be decoded")]
)
def test_no_frame_at_all(live: bool, message: str) -> None:
    with pytest.raises(Error, match=message):
        Reading(NumberedSource(ends=[0], live=live), loop=True).capture.run()


@pytest.mark.parametrize("live", [True, False])
def test_a_pause_throws_a_cameras_frames_away_and_holds_a_file(live: bool) -> None:
    source = NumberedSource(live=live)
    reading = Reading(source)
    reading.begin()
    until(lambda: reading.capture.frames > 3)
    before = source.number
    reading.paused.set()
    begin = source.number
    if live:
        until(lambda: source.number > begin + 10)
    else:
        time.sleep(0.1)
    end = source.number
    reading.paused.clear()
    after = source.number
    until(lambda: source.number > after + 3)
    there = {frame.number for frame in reading.end()}
    gone = set(range(source.number - 1)) - there
    assert reading.capture.shelf.dropped == 0
    if live:  # but for what was being read when it began and ended
        assert set(range(begin, end - 1)) <= gone <= set(range(before - 1, after + 1))
    else:
        assert end <= begin + 1
        assert len(gone) <= 1
