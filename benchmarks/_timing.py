# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing, A B A B: other load on the machine affects both, and cancels in the ratio of each round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rmbg_trt.bench import spread


def rest() -> None:
    """Pauses until the spinning threads of the last runtime have stopped, so that they do not slow the next one."""
    time.sleep(0.03)


def interleave(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 2,
    between: Callable[[], object] = rest,
) -> dict[str, list[float]]:
    """Runs the contenders alternately.

    Args:
        contenders: Name to the function that is timed.
        rounds: Timed runs of each.
        warmup: Untimed runs of each before.
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


def ratio(times: Mapping[str, list[float]], over: str, under: str) -> dict[str, float]:
    """Spread of the ratio within each round."""
    return spread([a / b for a, b in zip(times[over], times[under], strict=True)])


def summary(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """The report's entry for each contender."""
    return {name: {**spread(values), "unit": "ms", "runs": len(values)} for name, values in times.items()}


def shown(figure: Mapping[str, float], digits: int = 2) -> str:
    """``median (p25 to p75)`` for a table."""
    return f"{figure['median']:.{digits}f} ({figure['p25']:.{digits}f} to {figure['p75']:.{digits}f})"
