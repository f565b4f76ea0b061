# SPDX-License-Identifier: Apache-2.0
"""Compares two reports: what became faster or slower, and what is within the noise."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .settings import FORMAT

SMALLEST = 0.01
"""Smaller differences always count as noise: runs of one process do not show what differs between processes."""

_MACHINE = ("cpu", "cores", "features", "memory_gib", "gpus", "driver", "os", "threads_asked_for")
_SAME_LOAD = 0.5  # processes
_INFO = ("device", "device_name", "runtime", "precision", "input_size", "mode")


@dataclass(frozen=True)
class Row:
    """One figure in both reports."""

    model: str
    what: str
    unit: str  # "ms" (less is better) or "frames/s" (more is better)
    a: float  # its value in the first report
    b: float  # its value in the second
    noise: float | None  # of the ratio, combined from both; None if neither is known

    @property
    def ratio(self) -> float:
        """B / A."""
        return self.b / self.a

    @property
    def verdict(self) -> str:
        """B against A: "faster", "slower" or "within the noise"; "noise not known" without repeats."""
        if self.noise is None:
            return "noise not known"
        if abs(math.log(self.ratio)) <= math.log1p(max(self.noise, SMALLEST)):
            return "within the noise"
        return "faster" if (self.ratio < 1) == (self.unit == "ms") else "slower"


@dataclass(frozen=True)
class Comparison:
    """The comparison of two reports."""

    rows: list[Row]  # figures that are in both
    differences: list[str]  # sentences about everything else that differs or is missing in one


def read_report(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a report that ``rmbg-trt bench -o`` wrote.

    Raises:
        InputError: It cannot be read, or is not such a report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{os.fspath(path)} could not be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{os.fspath(path)} is not a JSON file: {error}") from error
    if not isinstance(report, dict) or report.get("program") != "rmbg-trt bench":
        raise InputError(f"{os.fspath(path)} is not a report of rmbg-trt bench; create one with -o")
    if report.get("format") != FORMAT:
        raise InputError(f"{os.fspath(path)} has format {report.get('format')!r}; this version reads {FORMAT}")
    return report


def compare(a: dict[str, Any], b: dict[str, Any]) -> Comparison:
    """Compares B with A, figure by figure.

    Args:
        a: A report.
        b: Another report, of the same models; or both reports have a single model.
    """
    rows: list[Row] = []
    differences = list(_settings(a, b))
    models_a = {each["model"]: each for each in a["models"]}
    models_b = {each["model"]: each for each in b["models"]}
    pairs = [(name, models_a[name], models_b[name]) for name in models_a if name in models_b]
    if len(models_a) == len(models_b) == 1 and not pairs:
        [(name_a, one)], [(name_b, other)] = models_a.items(), models_b.items()
        pairs = [(f"{name_a} / {name_b}", one, other)]
        differences.append(f"the models differ: {name_a} and {name_b}")
    else:
        differences += [f"only A has {name}" for name in models_a if name not in models_b]
        differences += [f"only B has {name}" for name in models_b if name not in models_a]
    for name, one, other in pairs:
        rows += _rows(name, one, other)
        differences += _model_differences(name, one, other)
    return Comparison(rows, differences)


def _rows(name: str, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Row]:
    for key, one in _by_name(a).items():
        other = _by_name(b).get(key)
        if other is None:
            continue
        both = _together(one["noise"], other["noise"])
        yield Row(name, key, "ms", one["latency_ms"]["p50"], other["latency_ms"]["p50"], both)
        if one["in_flight"] > 1:
            both = _together(one["frames_per_second_noise"], other["frames_per_second_noise"])
            yield Row(name, key, "frames/s", one["frames_per_second"], other["frames_per_second"], both)
    starts = a["cold_start"], b["cold_start"]
    if starts[0] and starts[1]:
        for step in ("import_ms", "engine_ms", "first_frame_ms"):
            one, other = (start[step] for start in starts)
            noises = [_range(start[step]) if len(start["starts"]) > 1 else None for start in starts]
            title = f"cold start: {step.removesuffix('_ms').replace('_', ' ')}"
            yield Row(name, title, "ms", one["median"], other["median"], _together(*noises))


def _by_name(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in model["configurations"]}


def _range(values: dict[str, float]) -> float:
    return (values["max"] - values["min"]) / values["median"] if values["median"] > 0 else 0.0


def _together(a: float | None, b: float | None) -> float | None:
    """Noise of a ratio; if only one is known, it stands for both."""
    known = [each for each in (a, b) if each is not None]
    if not known:
        return None
    return math.hypot(known[0], known[-1])


def _settings(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for each, report in (("A", a), ("B", b)):
        if not report["complete"]:
            yield f"{each} was interrupted; it is incomplete"
    for key in _MACHINE:
        yield from _differs(f"machine: {key.replace('_', ' ')}", a["machine"].get(key), b["machine"].get(key))
    load = [report["machine"].get("load_average") or 0.0 for report in (a, b)]
    if abs(load[0] - load[1]) > _SAME_LOAD:
        yield f"other programs were running: load {load[0]:g} before A, {load[1]:g} before B"
    for key in sorted({*a["software"], *b["software"]}):
        yield from _differs(f"version of {key}", a["software"].get(key), b["software"].get(key))
    commits = [(report["commit"] or {}) for report in (a, b)]
    yield from _differs("commit", *(commit.get("hash") for commit in commits))
    for each, commit in zip("AB", commits, strict=True):
        if commit.get("changed"):
            yield f"{each} was measured with uncommitted changes"
    for key in sorted({*a["settings"], *b["settings"]}):
        yield from _differs(f"setting {key}", a["settings"].get(key), b["settings"].get(key))


def _model_differences(name: str, a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for each, model in (("A", a), ("B", b)):
        if model["error"]:
            yield f"{name} failed in {each}: {model['error']}"
    if a["info"] and b["info"]:
        for key in _INFO:
            yield from _differs(f"{name}: {key.replace('_', ' ')}", a["info"].get(key), b["info"].get(key))
    for each, one, other in (("A", a, b), ("B", b, a)):
        alone = [key for key in _by_name(one) if key not in _by_name(other)]
        if alone:
            yield f"{name}: only {each} has {', '.join(alone)}"


def _differs(what: str, a: Any, b: Any) -> Iterator[str]:
    if a != b:
        yield f"{what} differs: {_shown(a)} in A, {_shown(b)} in B"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, [], {}) else value if isinstance(value, str) else json.dumps(value)
