# SPDX-License-Identifier: Apache-2.0
"""Comparing by turns: A B A B. What else the machine does then falls on both, and cancels in each pair's ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def rest() -> None:
    """Threads of a runtime spin for a while after a run; without a pause they would slow whoever is next."""
    time.sleep(0.03)


def interleave(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 2,
    between: Callable[[], object] = rest,
) -> dict[str, list[float]]:
    """Runs the contenders by turns.

    Args:
        contenders: Name to what is timed.
        rounds: Timed runs of each.
        warmup: Runs of each before, not timed.
        between: Called before every run, not timed.

    Returns:
        Name to wall-clock times in milliseconds; index i of all of them is one round.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warmup + rounds):
        for name, run in contenders.items():
            between()
            begin = time.perf_counter()
            run()
            elapsed_ms = 1e3 * (time.perf_counter() - begin)
            if turn >= warmup:
                times[name].append(elapsed_ms)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, quarter, median, three_quarters, high = np.percentile(values, (0, 25, 50, 75, 100))
    named = {"median": median, "p25": quarter, "p75": three_quarters, "min": low, "max": high}
    return {name: float(f"{value:.4g}") for name, value in named.items()}


def ratio(times: Mapping[str, list[float]], over: str, under: str) -> dict[str, float]:
    """Spread of the ratio within each round."""
    return spread([a / b for a, b in zip(times[over], times[under], strict=True)])


def summary(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """What goes into the report for each contender."""
    return {name: {**spread(values), "unit": "ms", "runs": len(values)} for name, values in times.items()}


def shown(figure: Mapping[str, float], digits: int = 2) -> str:
    """``median (p25 to p75)`` for a table."""
    return f"{figure['median']:.{digits}f} ({figure['p25']:.{digits}f} to {figure['p75']:.{digits}f})"
