# SPDX-License-Identifier: Apache-2.0
"""Plots of an evaluation: the F-measure over the threshold, and how the pictures' IoU are spread."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import numpy as np

from ..errors import UnavailableError
from .result import Evaluation


def check_packages() -> None:
    """Raises UnavailableError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError('matplotlib is not installed: pip install "rmbg-trt[train]"')


def f_curves(evaluation: Evaluation) -> bytes:
    """A PNG file: for each model the mean F-measure at each threshold, its maximum marked."""
    figure, axes = _figure()
    thresholds = np.arange(256) / 255
    for model in evaluation.models:
        curve = model.curve()
        best = int(curve.argmax())
        (line,) = axes.plot(thresholds, curve, label=f"{model.label}: {curve[best]:.4f} at {thresholds[best]:.2f}")
        axes.plot(thresholds[best], curve[best], "o", color=line.get_color())
    axes.set(xlabel="threshold", ylabel="F-measure (β² = 0.3)", xlim=(0, 1), ylim=(None, 1))
    axes.legend(loc="lower center")
    return _png(figure)


def iou_histogram(evaluation: Evaluation) -> bytes:
    """A PNG file: how many pictures have which IoU, a step line for each model."""
    figure, axes = _figure()
    edges = np.linspace(0, 1, 41)
    for model in evaluation.models:
        values = [each.score.values["iou"] for each in model.pictures]
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, fill=len(evaluation.models) == 1, label=f"{model.label}: mean {np.mean(values):.4f}")
    axes.set(xlabel="IoU", ylabel="pictures", xlim=(0, 1))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper left")
    return _png(figure)


def _figure() -> tuple[Any, Any]:
    """A figure without pyplot, so that no window system and nothing global takes part."""
    check_packages()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
