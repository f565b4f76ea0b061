# SPDX-License-Identifier: Apache-2.0
"""Figures of many times: percentiles, jitter, the noise between turns, and how times grow with the work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERCENTILES = (50, 90, 95, 99)


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Percentiles and jitter of times in the order in which they were measured.

    Args:
        values: Times in milliseconds; at least one.

    Returns:
        In milliseconds: ``mean``, ``std``, ``min``, ``p50``, ``p90``, ``p95``, ``p99`` (linear interpolation between
        the nearest two), ``max`` and ``jitter``: the mean absolute difference between a time and the one before it
        (0 for a single one).
    """
    times = np.asarray(values, np.float64)
    found = {"mean": times.mean(), "std": times.std(), "min": times.min()}
    found.update({f"p{q}": value for q, value in zip(PERCENTILES, np.percentile(times, PERCENTILES), strict=True)})
    found.update({"max": times.max(), "jitter": np.abs(np.diff(times)).mean() if len(times) > 1 else 0.0})
    return {name: round(float(value), 5) for name, value in found.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, quarter, median, three_quarters, high = np.percentile(values, (0, 25, 50, 75, 100))
    named = {"median": median, "p25": quarter, "p75": three_quarters, "min": low, "max": high}
    return {name: round(float(value), 5) for name, value in named.items()}


def noise(values: Sequence[float]) -> float | None:
    """How far turns lie apart: (largest - smallest) / median; None for a single one.

    Of three turns with normal errors it is 1.7 standard deviations on average.
    """
    if len(values) < 2:
        return None
    median = float(np.median(values))
    return round((max(values) - min(values)) / median, 5) if median > 0 else 0.0


def fit_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """(slope, intercept) of the least squares line through at least two different x."""
    slope, intercept = np.polyfit(np.asarray(x, np.float64), np.asarray(y, np.float64), 1)
    return float(slope), float(intercept)


def fit_exponent(x: Sequence[float], y: Sequence[float]) -> float | None:
    """The k of y = c * x**k, by least squares of the logarithms; None where a value is not positive."""
    if min(*x, *y) <= 0:
        return None
    return fit_line(np.log(x).tolist(), np.log(y).tolist())[0]
