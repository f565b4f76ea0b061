# SPDX-License-Identifier: Apache-2.0
"""The queue between threads, and the capture thread: the newest frame only, rates, losses, loops and pauses."""

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
from rmbg_trt.live.capture import Capture, LatestQueue, LiveFrame

# ---- the queue -------------------------------------------------------------------------------------------------------


def test_a_queue_keeps_the_newest_item_and_counts_the_dropped_ones() -> None:
    queue: LatestQueue[int] = LatestQueue()
    for number in range(5):
        queue.put(number)
    assert (queue.get(0), queue.dropped, queue.get(0)) == (4, 4, None)


def test_a_longer_queue_keeps_the_order() -> None:
    queue: LatestQueue[int] = LatestQueue(3)
    for number in range(5):
        queue.put(number)
    assert [queue.get(0) for _ in range(3)] == [2, 3, 4]
    assert queue.dropped == 2


def test_a_closed_queue_can_be_emptied_but_not_filled() -> None:
    queue: LatestQueue[int] = LatestQueue(2)
    queue.put(1)
    queue.close()
    queue.put(2)
    assert not queue.exhausted
    assert (queue.get(None), queue.get(None), queue.exhausted) == (1, None, True)


def test_a_waiting_consumer_wakes_up() -> None:
    queue: LatestQueue[int] = LatestQueue()
    threading.Timer(0.05, queue.put, [7]).start()
    assert queue.get(60) == 7
    threading.Timer(0.05, queue.close).start()
    assert queue.get(60) is None
    begin = time.monotonic()
    assert LatestQueue[int]().get(0.05) is None
    assert 0.04 < time.monotonic() - begin < 30


# ---- the thread ------------------------------------------------------------------------------------------------------


class Reading:
    """A capture, with its messages."""

    def __init__(self, source: Any, **options: Any) -> None:
        self.stop, self.paused, self.messages = threading.Event(), threading.Event(), list[str]()
        self.capture = Capture(
            source, LiveOptions(**options), stop=self.stop, paused=self.paused.is_set, on_message=self.messages.append
        )

    def all(self) -> list[LiveFrame]:
        """Read everything; the queue is long enough to drop nothing."""
        self.capture.queue._length = 1 << 20
        self.capture.run()
        return self.taken()

    def begin(self) -> None:
        """Start reading in a thread."""
        self.capture.queue._length = 1 << 20
        self.thread = threading.Thread(target=self.capture.run, daemon=True)
        self.thread.start()

    def end(self) -> list[LiveFrame]:
        self.stop.set()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()
        return self.taken()

    def taken(self) -> list[LiveFrame]:
        queue = self.capture.queue
        return [frame for frame in iter(lambda: queue.get(0), None) if frame is not None]


def test_all_frames_of_a_file_or_only_the_newest_without_a_consumer() -> None:
    frames = Reading(NumberedSource(ends=[9], live=False)).all()
    assert [frame.number for frame in frames] == list(range(9))
    assert (frames[4].read_pixels() == coded(4)).all()
    reading = Reading(NumberedSource(ends=[9], live=False))
    reading.capture.run()
    newest = reading.capture.queue.get(0)
    assert newest is not None
    assert (newest.number, reading.capture.queue.dropped, reading.capture.frames) == (8, 8, 9)


def test_dropped_frames_are_not_converted() -> None:
    converted: list[int] = []
    source = NumberedSource(ends=[50], live=False, make_frame=lambda number: converted.append(number) or coded(number))
    reading = Reading(source)
    reading.capture.run()
    assert reading.capture.queue.get(0) is not None
    assert converted == []


@pytest.mark.parametrize("early_s", [0.0, 0.003])
def test_a_maximum_rate_skips_frames_evenly(early_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 frames per second by the source's own clock, also when some of the frames come a bit early."""
    source = NumberedSource(ends=[60], live=False)
    clock = SimpleNamespace(monotonic=lambda: 1000 + source.number / 100 - early_s * (source.number % 8 == 5))
    monkeypatch.setattr(capture, "time", clock)
    frames = Reading(source, fps=25).all()
    assert [frame.number for frame in frames] == list(range(0, 60, 4))


def test_a_rate_that_does_not_divide_the_source_rate_is_kept_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    source = NumberedSource(ends=[60], live=False)
    monkeypatch.setattr(capture, "time", SimpleNamespace(monotonic=lambda: 1000 + source.number / 100))
    numbers = [frame.number for frame in Reading(source, fps=30).all()]
    assert len(numbers) == 18
    assert set(np.diff(numbers)) == {3, 4}


def test_a_source_slower_than_the_maximum_rate_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = NumberedSource(ends=[20], live=False)
    monkeypatch.setattr(capture, "time", SimpleNamespace(monotonic=lambda: 1000 + source.number / 20))
    assert len(Reading(source, fps=25).all()) == 20


def test_each_loop_is_a_new_scene() -> None:
    source = NumberedSource(ends=[4], live=False)
    reading = Reading(source, loop=True)
    reading.begin()
    until(lambda: reading.capture.frames > 9)
    assert [frame.scene for frame in reading.end()][:10] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert source.closed > 2


def test_a_lost_camera_is_reopened_and_counted() -> None:
    source = NumberedSource(ends=[3, 2, 1, 0], absent=2)
    reading = Reading(source, reconnect=3)
    with pytest.raises(Error, match=r"a fake camera is lost after 3 tries: no more frames"):
        reading.all()
    assert (reading.capture.frames, reading.capture.reconnects) == (6, 2)
    assert reading.messages[0] == "a fake camera is lost (no more frames); trying again in 0.01 s"
    assert reading.messages[1] == "a fake camera is lost (nobody there); trying again in 0.02 s"
    assert reading.messages[2:4] == [
        "a fake camera is lost (nobody there); trying again in 0.04 s",
        "a fake camera is back",
    ]
    assert source.closed >= source.opened


def test_without_reconnecting_a_lost_source_is_an_error() -> None:
    with pytest.raises(Error, match=r"^a fake camera is lost: no more frames$"):
        Reading(NumberedSource(ends=[3]), reconnect=0).all()


def test_reconnecting_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_S", 10 * TIMEOUT_S)
    monkeypatch.setattr(capture, "_LONGEST_RETRY_S", 10 * TIMEOUT_S)
    reading = Reading(NumberedSource(ends=[1]))
    reading.begin()
    until(lambda: reading.capture.lost)
    reading.end()


class Refusing(NumberedSource):
    def open(self) -> None:
        raise Error("camera 7 cannot be opened")


def test_a_source_that_never_opened_is_not_retried() -> None:
    reading = Reading(Refusing())
    with pytest.raises(Error, match="camera 7 cannot be opened"):
        reading.capture.run()
    assert reading.messages == []
    assert reading.capture.queue.exhausted


@pytest.mark.parametrize(
    ("live", "message"), [(True, "opened, but gave no frames"), (False, "has no frame that can be decoded")]
)
def test_a_source_without_any_frame_is_an_error(live: bool, message: str) -> None:
    with pytest.raises(Error, match=message):
        Reading(NumberedSource(ends=[0], live=live), loop=True).capture.run()


@pytest.mark.parametrize("live", [True, False])
def test_a_pause_discards_frames_of_a_camera_and_holds_a_file(live: bool) -> None:
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
    assert reading.capture.queue.dropped == 0
    if live:  # except what was being read when the pause began and ended
        assert set(range(begin, end - 1)) <= gone <= set(range(before - 1, after + 1))
    else:
        assert end <= begin + 1
        assert len(gone) <= 1
