# SPDX-License-Identifier: Apache-2.0
"""What stands between threads: the newest stay, the rest is counted, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from rmbg_trt.live.latency import Latency
from rmbg_trt.live.shelf import Shelf


def test_the_newest_stays_and_the_rest_is_counted() -> None:
    shelf: Shelf[int] = Shelf()
    for number in range(5):
        shelf.put(number)
    assert (shelf.take(0), shelf.dropped, shelf.take(0)) == (4, 4, None)


def test_a_longer_one_keeps_the_order() -> None:
    shelf: Shelf[int] = Shelf(3)
    for number in range(5):
        shelf.put(number)
    assert [shelf.take(0) for _ in range(3)] == [2, 3, 4]
    assert shelf.dropped == 2


def test_after_the_end_what_is_there_can_be_taken_and_nothing_is_added() -> None:
    shelf: Shelf[int] = Shelf(2)
    shelf.put(1)
    shelf.end()
    shelf.put(2)
    assert not shelf.over
    assert (shelf.take(None), shelf.take(None), shelf.over) == (1, None, True)


def test_whoever_waits_is_woken() -> None:
    shelf: Shelf[int] = Shelf()
    threading.Timer(0.05, shelf.put, [7]).start()
    assert shelf.take(60) == 7
    threading.Timer(0.05, shelf.end).start()
    assert shelf.take(60) is None
    begin = time.monotonic()
    assert Shelf[int]().take(0.05) is None
    assert 0.04 < time.monotonic() - begin < 30


def test_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("rmbg_trt.live.latency.time.monotonic", lambda: now)
    latency = Latency()
    assert latency.recent() == (0.0, latency.whole())
    values = np.random.default_rng(1).uniform(5, 300, 200)
    for value in values:
        now += 0.05  # ten seconds in all, of which the last three are recent
        latency.add(now - value / 1e3)
    fps, recent = latency.recent()
    assert fps == pytest.approx(20)
    assert recent.count in (60, 61)
    assert (recent.p50_ms, recent.p95_ms) == pytest.approx(np.percentile(values[-recent.count :], (50, 95)), abs=1e-6)
    whole = latency.whole()
    assert (whole.count, whole.max_ms) == (200, pytest.approx(values.max()))
    assert (whole.p50_ms, whole.p95_ms) == pytest.approx(np.sort(values)[[99, 189]], abs=0.51)
    now += 60
    assert latency.recent()[0] == 0.0
    assert latency.recent()[1].count == 0
