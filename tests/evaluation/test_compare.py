# SPDX-License-Identifier: Apache-2.0
"""Two models side by side: differences that are known, and their intervals."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest

from rmbg_trt import EngineInfo
from rmbg_trt.evaluation import Evaluation, ImageScore, ModelResult, Score, compare
from rmbg_trt.evaluation.result import most_different
from rmbg_trt.training.data import Pair

INFO = EngineInfo("x", "x", "cpu", "a test", "native", "1", "fp32", (32, 32), 1, "a test")


def result(label: str, ious: dict[str, float]) -> ModelResult:
    images = [
        ImageScore(
            Pair(name, Path(name), Path(name), "a", "val"),
            (1, 1),
            Score({"mae": 1 - iou, "iou": iou}, np.full(256, iou), empty=False),
        )
        for name, iou in ious.items()
    ]
    return ModelResult(label, "0", INFO, images, [])


def test_a_constant_difference_has_no_spread() -> None:
    base = {str(i): 0.01 * i for i in range(50)}
    difference = compare(result("a", base), result("b", {name: iou + 0.25 for name, iou in base.items()}))
    assert difference is not None
    assert (difference.base, difference.other, difference.images) == ("a", "b", 50)
    assert difference.means == pytest.approx({"mae": -0.25, "iou": 0.25})
    assert difference.iou_interval == pytest.approx((0.25, 0.25))


def test_the_interval_is_that_of_the_mean() -> None:
    """For many images, the mean is normally distributed: 1.96 standard errors to each side."""
    generator = np.random.default_rng(1)
    changes = generator.normal(0.02, 0.05, 400)
    names = [str(i) for i in range(400)]
    difference = compare(
        result("a", dict.fromkeys(names, 0.5)), result("b", dict(zip(names, 0.5 + changes, strict=True)))
    )
    assert difference is not None
    error = 1.96 * statistics.stdev(changes) / 20
    assert difference.iou_interval == pytest.approx((changes.mean() - error, changes.mean() + error), abs=0.1 * error)


def test_only_common_images_count() -> None:
    first, second = result("a", {"x": 0.5, "y": 0.1}), result("b", {"z": 0.9, "x": 0.75})
    difference = compare(first, second)
    assert difference is not None
    assert (difference.images, difference.means["iou"]) == (1, pytest.approx(0.25))
    assert compare(first, result("b", {"z": 0.9})) is None


def test_where_models_differ_most() -> None:
    models = [
        result("a", {"same": 0.5, "much": 0.1, "some": 0.4, "not here": 0.0}),
        result("b", {"some": 0.6, "much": 0.9, "same": 0.5}),
        result("c", {"some": 0.7, "much": 0.8, "same": 0.5, "not here": 1.0}),
    ]
    rows = most_different(Evaluation("", {}, models), 2)
    assert [[each.score.values["iou"] for each in row] for row in rows] == [[0.1, 0.9, 0.8], [0.4, 0.6, 0.7]]
