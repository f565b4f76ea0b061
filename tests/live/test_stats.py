# SPDX-License-Identifier: Apache-2.0
"""Latency statistics of the last seconds and of the whole run."""

from __future__ import annotations

import numpy as np
import pytest

from rmbg_trt.live.stats import LatencyTracker


def test_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("rmbg_trt.live.stats.time.monotonic", lambda: now)
    latency = LatencyTracker()
    assert latency.recent() == (0.0, latency.total())
    values = np.random.default_rng(1).uniform(5, 300, 200)
    for value in values:
        now += 0.05  # ten seconds in all, of which the last three are recent
        latency.add(now - value / 1e3)
    fps, recent = latency.recent()
    assert fps == pytest.approx(20)
    assert recent.count in (60, 61)
    assert (recent.p50_ms, recent.p95_ms) == pytest.approx(np.percentile(values[-recent.count :], (50, 95)), abs=1e-6)
    whole = latency.total()
    assert (whole.count, whole.max_ms) == (200, pytest.approx(values.max()))
    assert (whole.p50_ms, whole.p95_ms) == pytest.approx(np.sort(values)[[99, 189]], abs=0.51)
    now += 60
    assert latency.recent()[0] == 0.0
    assert latency.recent()[1].count == 0
