# SPDX-License-Identifier: Apache-2.0
"""Sink workers: slow sinks drop results without holding up others, and sinks that fail at the start or later."""

from __future__ import annotations

import time

import pytest
from tests.live.parts import CollectingSink, GatedSource, LiveRun, NumberedSource, SlowMatter

from rmbg_trt.errors import Error
from rmbg_trt.live import LiveMatter, MattedFrame, Sink, SinkClosedError, StreamInfo


def test_blocked_sinks_hold_up_nobody_and_then_get_the_newest_results() -> None:
    slow, queued, quick, matter = CollectingSink(1), CollectingSink(4), CollectingSink(), SlowMatter()
    slow.name, queued.name = "slow", "queued"
    slow.go.clear()
    queued.go.clear()

    def ready(number: int) -> bool:
        return matter.finished >= number and (number != 1 or (slow.busy and queued.busy))

    run = LiveRun(GatedSource(NumberedSource(ends=[60], live=False), ready), matter, slow, queued, quick)
    run.until(lambda: quick.numbers == list(range(60)))
    slow.go.set()
    queued.go.set()
    report = run.result()
    assert slow.numbers == [0, 59]  # it was writing the first all the time
    assert queued.numbers == [0, 56, 57, 58, 59]
    assert [(sink.written, sink.dropped) for sink in report.sinks.values()] == [(2, 58), (5, 55), (60, 0)]
    assert [sink.finished for sink in (slow, queued, quick)] == [1, 1, 1]


class Failing(Sink):
    name = "failing"

    def __init__(self, error: Exception, after: int) -> None:
        self.error, self.left, self.finished = error, after, 0

    def start(self, info: StreamInfo) -> None:
        if self.left < 0:
            raise self.error

    def write(self, matted: MattedFrame) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error

    def finish(self) -> None:
        self.finished += 1


def test_a_sink_that_cannot_start_ends_the_run() -> None:
    with pytest.raises(Error, match="no such device"):
        LiveMatter(NumberedSource(50), SlowMatter(), [CollectingSink(), Failing(Error("no such device"), -1)]).run()


def test_a_sink_that_fails_later_is_reported_and_the_others_go_on() -> None:
    kept, failing = CollectingSink(), Failing(Error("the disk is full"), 3)
    run = LiveRun(NumberedSource(200), SlowMatter(), kept, failing)
    run.until(lambda: run.live.report().errors)
    time.sleep(0.25)  # time for the run to end
    count = len(kept.matted)
    run.until(lambda: len(kept.matted) > count + 10)
    report = run.end()
    assert report.errors == ["failing: the disk is full"]
    assert failing.finished == 1
    assert report.sinks["failing"].written == 3


@pytest.mark.parametrize("error", [SinkClosedError(), Error("the disk is full")])
def test_the_run_ends_with_the_last_sink(error: Exception) -> None:
    report = LiveRun(NumberedSource(200), SlowMatter(), Failing(error, 3)).result()
    assert report.errors == ([] if isinstance(error, SinkClosedError) else ["failing: the disk is full"])


def test_a_bug_in_a_sink_is_not_hidden() -> None:
    failing = Failing(ZeroDivisionError(), 3)
    run = LiveRun(NumberedSource(200), SlowMatter(), failing, CollectingSink())
    run.until(lambda: failing.left < 0)
    with pytest.raises(ZeroDivisionError):
        run.end()
