# SPDX-License-Identifier: Apache-2.0
"""Percentiles, jitter, noise and fits, against other programs and figures worked out by hand."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from rmbg_trt.bench.summary import fit_exponent, fit_line, noise, spread, summarize


def test_percentiles_are_those_of_the_standard_library() -> None:
    times = np.random.default_rng(3).gamma(2.0, 5.0, 1237).tolist()
    found = summarize(times)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    assert [found[f"p{q}"] for q in (50, 90, 95, 99)] == pytest.approx(
        [cuts[q - 1] for q in (50, 90, 95, 99)], abs=1e-5
    )
    assert found["mean"] == pytest.approx(statistics.fmean(times), abs=1e-5)
    assert found["std"] == pytest.approx(statistics.pstdev(times), abs=1e-5)
    assert (found["min"], found["max"]) == pytest.approx((min(times), max(times)), abs=1e-5)


def test_jitter_looks_at_the_order() -> None:
    assert summarize([10, 12, 11, 15])["jitter"] == pytest.approx((2 + 1 + 4) / 3, abs=1e-5)
    assert summarize([10, 11, 12, 15])["jitter"] == pytest.approx(5 / 3, abs=1e-5)
    assert summarize([7.0]) == {
        "mean": 7, "std": 0, "min": 7, "p50": 7, "p90": 7, "p95": 7, "p99": 7, "max": 7, "jitter": 0,
    }  # fmt: skip


def test_noise_is_the_range_of_the_turns() -> None:
    assert noise([10.0, 11.0, 9.5]) == pytest.approx(0.15)
    assert noise([10.0]) is None
    assert spread([1, 2, 3, 4, 5]) == {"median": 3, "p25": 2, "p75": 4, "min": 1, "max": 5}


def test_lines_and_exponents_are_found_again() -> None:
    pixels = [0.41, 0.92, 2.07, 3.69, 8.29]
    slope, intercept = fit_line(pixels, [3.5 * x + 1.25 for x in pixels])
    assert (slope, intercept) == pytest.approx((3.5, 1.25))
    assert fit_exponent(pixels, [2.0 * x**0.8 for x in pixels]) == pytest.approx(0.8)
    assert fit_exponent(pixels, [0.0, 1, 1, 1, 1]) is None
