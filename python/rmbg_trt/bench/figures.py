# SPDX-License-Identifier: Apache-2.0
"""Turns measured times into the figures of the report: percentiles, jitter, noise, and growth with the frame size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .loops import Arrivals, throughput
from .settings import Configuration
from .work import STAGES

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Turn:
    """One of the repeats of a configuration."""

    latencies: list[list[float]]  # milliseconds of each frame, for each client
    stages: list[dict[str, float]]  # milliseconds of each stage ("network_ms", ...), for each frame
    paired: bool  # whether stages[i] and latencies[0][i] are of the same frame

    @property
    def all(self) -> list[float]:
        """Latencies of all clients."""
        return [each for client in self.latencies for each in client]

    def parts(self) -> dict[str, list[float]]:
        """Times by frame: the stages, "host" (latency minus all stages) and "outside_network" (minus the network).

        If frames are not paired, the last two are single numbers: differences of medians. Empty without stage times.
        """
        if not self.stages:
            return {}
        found = {name: [each[f"{name}_ms"] for each in self.stages] for name in STAGES}
        if self.paired:
            whole = zip(self.latencies[0], self.stages, strict=True)
            found["host"] = [latency - sum(each[f"{name}_ms"] for name in STAGES) for latency, each in whole]
            pairs = zip(self.latencies[0], found["network"], strict=True)
            found["outside_network"] = [latency - network for latency, network in pairs]
        else:
            stages = [sum(each[f"{name}_ms"] for name in STAGES) for each in self.stages]
            found["host"] = [float(np.median(self.all) - np.median(stages))]
            found["outside_network"] = [float(np.median(self.all) - np.median(found["network"]))]
        return found

    def figures(self) -> dict[str, Any]:
        """The figures of this turn."""
        medians = {name: round(float(np.median(values)), 5) for name, values in self.parts().items()}
        return {
            "frames": len(self.all),
            "latency_ms": summarize(self.all),
            "frames_per_second": round(throughput(self.latencies), 4),
            "stages_p50_ms": medians,
            "samples_ms": [round(each, 4) for each in self.all],
        }


def of_configuration(configuration: Configuration, turns: Sequence[Turn]) -> dict[str, Any]:
    """Figures of a configuration: over all frames, and the spread between its turns.

    Jitter is computed for each client and turn and then averaged, because only their frames follow each other.
    """
    each = [turn.figures() for turn in turns]
    latency = summarize([value for turn in turns for value in turn.all])
    rows = [client for turn in turns for client in turn.latencies if client]
    latency["jitter"] = round(float(np.mean([summarize(row)["jitter"] for row in rows])), 5)
    medians = [turn["latency_ms"]["p50"] for turn in each]
    rates = [turn["frames_per_second"] for turn in each]
    parts = [turn.parts() for turn in turns]
    names = [name for name in (*STAGES, "host", "outside_network") if all(name in part for part in parts)]
    stages = {name: summarize([value for part in parts for value in part[name]]) for name in names}
    return {
        "name": str(configuration),
        **asdict(configuration),
        "size": configuration.size,
        "megapixels": configuration.megapixels,
        "frames": len([value for turn in turns for value in turn.all]),
        "latency_ms": latency,
        "p50_over_turns_ms": spread(medians),
        "noise": noise(medians),
        "frames_per_second": round(float(np.median(rates)), 4),
        "frames_per_second_over_turns": spread(rates),
        "frames_per_second_noise": noise(rates),
        "stages_ms": stages,
        "stages_are_of_the_same_frames": all(turn.paired for turn in turns),
        "turns": each,
    }


def of_rate(size: str, turns: Sequence[Arrivals]) -> dict[str, Any]:
    """Figures of one rate of the open loop."""
    done = [value for turn in turns for value in turn.done]
    medians = [float(np.median(turn.done)) for turn in turns if turn.done]
    count = sum(len(turn.due_ms) for turn in turns)
    return {
        "size": size,
        "rate": turns[0].rate,
        "in_flight": turns[0].workers,
        "held": all(turn.held for turn in turns),
        "arrived": count,
        "dropped": sum(turn.dropped for turn in turns),
        "dropped_share": round(sum(turn.dropped for turn in turns) / count, 5),
        "served_per_second": round(float(np.median([turn.served_per_second for turn in turns])), 4),
        "latency_ms": summarize(done) if done else None,
        "noise": noise(medians) if medians else None,
        "scheduler_late_ms": round(max(turn.late_ms for turn in turns), 4),
        "turns": [
            {
                "arrived": len(turn.due_ms),
                "dropped": turn.dropped,
                "waiting_at_the_end": turn.waiting,
                "held": turn.held,
                "latency_ms": summarize(turn.done) if turn.done else None,
                "due_ms": [round(each, 3) for each in turn.due_ms],
                "samples_ms": [None if each is None else round(each, 4) for each in turn.latency_ms],
            }
            for turn in turns
        ],
    }


def scaling(configurations: Sequence[dict[str, Any]], like: Configuration) -> dict[str, Any] | None:
    """How latency grows with the frame size, over configurations that otherwise equal ``like``.

    Returns:
        For ``end_to_end`` and ``outside_network``: the fitted line's ``slope_ms_per_megapixel`` and ``intercept_ms``,
        the ``exponent`` of the pixel count, also for each turn, ``largest_over_smallest`` in time and in pixels, and
        whether time grew no faster than pixels. None for fewer than two sizes, or without stage times.
    """
    fixed = {"place": like.place, "output": like.output, "in_flight": like.in_flight}
    rows = [each for each in configurations if all(each[key] == value for key, value in fixed.items())]
    rows = sorted(rows, key=lambda each: float(each["megapixels"]))
    if len({each["megapixels"] for each in rows}) < 2 or not all(each["stages_ms"] for each in rows):
        return None
    pixels = [each["megapixels"] for each in rows]
    turns = min(len(each["turns"]) for each in rows)
    found: dict[str, Any] = {"sizes": [each["size"] for each in rows], "megapixels": pixels, **fixed}
    for name in ("end_to_end", "outside_network"):
        whole = name == "end_to_end"
        times = [each["latency_ms"]["p50"] if whole else each["stages_ms"][name]["p50"] for each in rows]
        of_turns = [
            [
                each["turns"][turn]["latency_ms"]["p50"] if whole else each["turns"][turn]["stages_p50_ms"][name]
                for each in rows
            ]
            for turn in range(turns)
        ]
        found[name] = _growth(pixels, times, of_turns)
    return found


def _growth(pixels: list[float], times: list[float], of_turns: list[list[float]]) -> dict[str, Any]:
    slope, intercept = fit_line(pixels, times)
    exponents = [each for each in (fit_exponent(pixels, row) for row in of_turns) if each is not None]
    exponent = fit_exponent(pixels, times)
    time_ratio, pixel_ratio = times[-1] / times[0] if times[0] > 0 else None, pixels[-1] / pixels[0]
    return {
        "p50_ms": times,
        "slope_ms_per_megapixel": round(slope, 5),
        "intercept_ms": round(intercept, 5),
        "exponent": None if exponent is None else round(exponent, 4),
        "exponent_over_turns": spread(exponents) if exponents else None,
        "largest_over_smallest": {
            "time": None if time_ratio is None else round(time_ratio, 4),
            "pixels": round(pixel_ratio, 4),
        },
        "grows_no_faster_than_pixels": None if time_ratio is None else time_ratio <= pixel_ratio,
    }


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Percentiles (linearly interpolated) and jitter of times in milliseconds, in the order of measurement.

    Jitter is the mean absolute difference between a time and the one before it; 0 for a single time.
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
    """The spread of repeats: (largest - smallest) / median; None for a single one.

    For three repeats with normal errors it is 1.7 standard deviations on average.
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
    """The k of y = c * x**k, by least squares of the logarithms; None if a value is not positive."""
    if min(*x, *y) <= 0:
        return None
    return fit_line(np.log(x).tolist(), np.log(y).tolist())[0]
