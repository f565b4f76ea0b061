# SPDX-License-Identifier: Apache-2.0
"""Plots of a report: time by stage, distribution of latency, growth with the frame size, and frames in flight."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnavailableError
from ..files import atomic_file
from ..install import install_command

_PARTS = {
    "copy_in": ("copy in", "#9ecae1"),
    "preprocess": ("preprocess", "#3182bd"),
    "network": ("network", "#bdbdbd"),
    "postprocess": ("postprocess", "#e6550d"),
    "copy_out": ("copy out", "#fdae6b"),
    "host": ("host", "#31a354"),
}


def check_packages() -> None:
    """Raises `UnavailableError` if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError(f"matplotlib is not installed: {install_command('bench')}")


def write_plots(report: dict[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Writes PNG files, MODEL_stages.png and so on, for everything the report has figures of.

    Args:
        report: A result of ``Bench.report``.
        folder: The folder of the files. It is created if needed, and existing files are replaced.

    Returns:
        The files.

    Raises:
        UnavailableError: matplotlib is not installed.
        Error: A file cannot be written.
    """
    check_packages()
    plots: dict[str, Callable[[dict[str, Any]], bytes | None]] = {
        "stages": stages,
        "distribution": distribution,
        "frame_size": frame_size,
        "throughput": throughput,
        "open_loop": open_loop,
    }
    written = []
    for model in report["models"]:
        name = re.sub(r"[^\w.-]", "_", model["model"])
        for kind, draw in plots.items():
            data = draw(model) if model["configurations"] else None
            if data is not None:
                path = Path(folder) / f"{name}_{kind}.png"
                with atomic_file(path) as stream:
                    stream.write(data)
                written.append(path)
    return written


def _one_axis_apart(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Configurations that differ from the base in at most one axis, so that a plot stays readable."""
    base = model["base"]
    axes = (("height", "width"), ("place",), ("output",), ("in_flight",))
    rows: list[dict[str, Any]] = model["configurations"]
    return [each for each in rows if sum(any(each[key] != base[key] for key in axis) for axis in axes) <= 1]


def stages(model: dict[str, Any]) -> bytes | None:
    """Stacked bars of the stages' medians for each configuration, with and without the network."""
    rows = [each for each in model["configurations"] if each["stages_ms"]][::-1]
    if not rows:
        return None
    figure, (whole, outside) = _figure(2, height=1.6 + 0.36 * len(rows), sharey=True)
    for axes, names in ((whole, list(_PARTS)), (outside, [name for name in _PARTS if name != "network"])):
        left = np.zeros(len(rows))
        for name in names:
            values = np.array([max(each["stages_ms"][name]["p50"], 0.0) for each in rows])
            if values.any():
                title, color = _PARTS[name]
                axes.barh([each["name"] for each in rows], values, left=left, color=color, label=title)
                left += values
        axes.set_xlim(0, 1.05 * max(left.max(), 1e-6))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
    whole.set(xlabel="ms (p50)", title="all stages")
    outside.set(xlabel="ms (p50)", title="without the network")
    handles, labels = whole.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return _png(figure, model)


def distribution(model: dict[str, Any]) -> bytes | None:
    """Cumulative distribution of latency."""
    figure, [axes] = _figure(1)
    for each in _one_axis_apart(model):
        times = np.sort([value for turn in each["turns"] for value in turn["samples_ms"]])
        share = np.arange(1, len(times) + 1) / len(times)
        axes.step(times, share, where="post", label=f"{each['name']} ({len(times)})")
    for level in (0.5, 0.95):
        axes.axhline(level, color="black", linewidth=0.6, linestyle=":")
    axes.set(xlabel="latency, ms", ylabel="share of frames", ylim=(0, 1.02), xlim=(0, None), title="latency")
    axes.legend(fontsize=8, title="configuration (frames)", title_fontsize=8)
    return _png(figure, model)


def frame_size(model: dict[str, Any]) -> bytes | None:
    """Latency over the frame's pixels, with fitted lines; error bars are the range of the turns."""
    scaling = model["scaling"]
    if not scaling:
        return None
    figure, both = _figure(2)
    pixels = np.array(scaling["megapixels"])
    rows = {each["name"]: each for each in model["configurations"]}
    fixed = f"{scaling['output']} {scaling['place']} x{scaling['in_flight']}"
    turns = [rows[f"{size} {fixed}"]["turns"] for size in scaling["sizes"]]
    titles = {"end_to_end": "end to end", "outside_network": "without the network"}
    for axes, (key, title) in zip(both, titles.items(), strict=True):
        each = scaling[key]
        of_turns = [
            [turn["latency_ms"]["p50"] if key == "end_to_end" else turn["stages_p50_ms"][key] for turn in row]
            for row in turns
        ]
        times = np.array(each["p50_ms"])
        low = (times - [min(row) for row in of_turns]).clip(0)
        high = (np.array([max(row) for row in of_turns]) - times).clip(0)
        axes.errorbar(pixels, times, yerr=(low, high), fmt="o", capsize=3, label="p50, range of the turns")
        line = np.array([0, 1.05 * pixels.max()])
        slope, intercept = each["slope_ms_per_megapixel"], each["intercept_ms"]
        label = f"{slope:.3g} ms per megapixel {'+' if intercept >= 0 else '-'} {abs(intercept):.3g} ms"
        if each["exponent"] is not None:
            label += f"\n(pixels to the power of {each['exponent']:.2f})"
        axes.plot(line, slope * line + intercept, color="#e6550d", linewidth=1, label=label)
        for x, y, size in zip(pixels, times, scaling["sizes"], strict=True):
            axes.annotate(size, (x, y), xytext=(4, -12), textcoords="offset points", fontsize=8)
        axes.set(xlabel="megapixels of the frame", ylabel="ms", title=f"{title}, {fixed}")
        axes.set(xlim=(0, None), ylim=(0, None))
        axes.legend(fontsize=8)
    return _png(figure, model)


def throughput(model: dict[str, Any]) -> bytes | None:
    """Throughput and latency over the number of frames in flight."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for each in _one_axis_apart(model):
        kinds.setdefault(f"{each['size']} {each['output']} {each['place']}", []).append(each)
    kinds = {name: sorted(rows, key=lambda row: int(row["in_flight"])) for name, rows in kinds.items() if len(rows) > 1}
    if not kinds:
        return None
    figure, (rate, latency) = _figure(2)
    for name, rows in kinds.items():
        x = [row["in_flight"] for row in rows]
        y = np.array([row["frames_per_second"] for row in rows])
        ends = np.array([[row["frames_per_second_over_turns"][end] for end in ("min", "max")] for row in rows])
        rate.errorbar(x, y, yerr=(y - ends[:, 0], ends[:, 1] - y), fmt="o-", capsize=3, label=name)
        [line] = latency.plot(x, [row["latency_ms"]["p50"] for row in rows], "o-", label=f"{name}, p50")
        latency.plot(x, [row["latency_ms"]["p95"] for row in rows], "^:", color=line.get_color(), label=f"{name}, p95")
    rate.set(xlabel="frames in flight", ylabel="frames/s", title="throughput", ylim=(0, None))
    latency.set(xlabel="frames in flight", ylabel="ms", title="latency of each frame", ylim=(0, None))
    for axes in (rate, latency):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)
    return _png(figure, model)


def open_loop(model: dict[str, Any]) -> bytes | None:
    """Latency since the scheduled arrival over time, one panel for each rate; dropped frames at the bottom."""
    rows = model["open_loop"]
    if not rows:
        return None
    figure, panels = _figure(len(rows))
    for axes, each in zip(panels, rows, strict=True):
        lost: list[float] = []
        for number, turn in enumerate(each["turns"]):
            pairs = zip(turn["due_ms"], turn["samples_ms"], strict=True)
            shown = [(due / 1e3, value) for due, value in pairs if value is not None]
            lost += [due / 1e3 for due, value in zip(turn["due_ms"], turn["samples_ms"], strict=True) if value is None]
            if shown:
                axes.plot(*zip(*shown, strict=True), ".-", linewidth=0.6, markersize=4, label=f"turn {number + 1}")
        if lost:
            axes.plot(lost, np.zeros(len(lost)), "x", color="red", markersize=4, label=f"dropped ({len(lost)})")
        held = "held" if each["held"] else "not held"
        title = f"{each['rate']:g} frames/s, {each['size']} x{each['in_flight']}: {held}"
        axes.set(xlabel="scheduled arrival, s", ylabel="latency from it, ms", title=title)
        axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])
        axes.legend(fontsize=8)
    return _png(figure, model)


def _figure(panels: int, height: float = 4.5, sharey: bool = False) -> tuple[Any, Any]:
    """A figure and its axes; without pyplot, which needs a window system and keeps global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7 if panels == 1 else 5.5 * panels, height), dpi=120, layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=sharey)[0]
    for each in axes:
        each.grid(alpha=0.3)
        each.set_axisbelow(True)
    return figure, axes


def _png(figure: Any, model: dict[str, Any]) -> bytes:
    info = model["info"]
    figure.suptitle(f"{model['model']} on {info['device_name']}, {info['runtime']} {info['precision']}", fontsize=10)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
