# SPDX-License-Identifier: Apache-2.0
"""The measures of a mask: hand-computed cases, pysodmetrics on random ones, and the cases that divide by nothing."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rmbg_trt.errors import InputError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.training import metrics

py_sod_metrics = pytest.importorskip("py_sod_metrics")

MEASURES = [
    metrics.accuracy,
    metrics.iou,
    metrics.dice,
    metrics.mae,
    metrics.max_f,
    metrics.weighted_f,
    metrics.s_measure,
    metrics.e_measure,
]


def case(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A blurred blob as alpha, uint8, and a mask that it meets in part, bool."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    cy, cx, radius = generator.uniform(0.3, 0.7, 3) * (height, width, min(height, width))
    distance = np.hypot(y - cy, x - cx)
    truth = distance < radius * 0.7
    noise = generator.normal(0, 0.15, (height, width))
    alpha = np.clip(1.4 - np.hypot(y - cy * 1.1, x - cx * 0.9) / radius + noise, 0, 1)
    return np.round(alpha * 255).astype(np.uint8), truth


CASES = [(0, 40, 61), (1, 33, 32), (2, 7, 90), (3, 64, 5)]


def test_by_hand() -> None:
    alpha = np.array([[255, 128, 127], [0, 0, 255]], np.uint8)
    truth = np.array([[255, 255, 255], [0, 0, 0]], np.uint8)
    # Found: the first two and the last; 127 is below one half. Hit 2, too much 1, missing 1.
    assert metrics.accuracy(alpha, truth) == pytest.approx(4 / 6)
    assert metrics.iou(alpha, truth) == pytest.approx(2 / 4)
    assert metrics.dice(alpha, truth) == pytest.approx(4 / 6)
    assert metrics.mae(alpha, truth) == pytest.approx((127 + 128 + 255) / 255 / 6)
    curve = metrics.f_curve(alpha, truth)
    assert curve.shape == (256,)
    # From 1 to 127: P 3/4, R 1; F = 1.3 * 0.75 / (0.3 * 0.75 + 1). At 128: P and R 2/3. From 129 on: P 1/2, R 1/3.
    assert curve[1] == curve[127] == pytest.approx(0.975 / 1.225)
    assert curve[128] == pytest.approx(2 / 3)
    assert curve[129] == curve[255] == pytest.approx(1.3 / 6 / (0.15 + 1 / 3))
    assert curve[0] == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))
    assert metrics.max_f(alpha, truth) == pytest.approx(0.975 / 1.225)


def test_mae_cuts_nothing() -> None:
    alpha, matte = np.array([[0.5, 0.25]]), np.array([[0.25, 0.25]])
    assert metrics.mae(alpha, matte) == 0.125
    assert metrics.mae(np.full((2, 2), 51, np.uint8), np.zeros((2, 2))) == pytest.approx(0.2), "nothing is stretched"


@pytest.mark.parametrize("shape", CASES)
def test_as_pysodmetrics(shape: tuple[int, int, int]) -> None:
    alpha, truth = case(*shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {
            name: getattr(py_sod_metrics, name)()
            for name in ("Fmeasure", "MAE", "Smeasure", "Emeasure", "WeightedFmeasure")
        }
    for each in theirs.values():
        each.step(alpha / 255, truth, normalize=False)
    found = {name: each.get_results() for name, each in theirs.items()}
    curve = found["Fmeasure"]["fm"]["curve"][::-1]  # theirs begins with the highest threshold
    np.testing.assert_allclose(metrics.f_curve(alpha, truth), curve, atol=1e-9)
    assert metrics.max_f(alpha, truth) == pytest.approx(curve.max(), abs=1e-9)
    assert metrics.mae(alpha, truth) == pytest.approx(found["MAE"]["mae"], abs=1e-9)
    assert metrics.s_measure(alpha, truth) == pytest.approx(found["Smeasure"]["sm"], abs=1e-9)
    assert metrics.e_measure(alpha, truth) == pytest.approx(found["Emeasure"]["em"]["curve"].mean(), abs=1e-9)
    assert metrics.weighted_f(alpha, truth) == pytest.approx(found["WeightedFmeasure"]["wfm"], abs=1e-9)


@pytest.mark.parametrize("shape", CASES)
def test_of_masks_as_pysodmetrics(shape: tuple[int, int, int]) -> None:
    alpha, truth = case(*shape)
    handlers = {
        "iou": py_sod_metrics.IOUHandler(with_dynamic=False, with_adaptive=False, with_binary=True),
        "dice": py_sod_metrics.DICEHandler(with_dynamic=False, with_adaptive=False, with_binary=True),
        "oa": py_sod_metrics.OverallAccuracyHandler(with_dynamic=False, with_adaptive=False, with_binary=True),
    }
    # Theirs counts from above one half, and takes the images together; of one, that is the same.
    measure = py_sod_metrics.FmeasureV2(metric_handlers=handlers)
    measure.step((alpha >= 128).astype(np.float64), truth, normalize=False)
    found = {name: each["binary"] for name, each in measure.get_results().items()}
    assert metrics.iou(alpha, truth) == pytest.approx(found["iou"], abs=1e-9)
    assert metrics.dice(alpha, truth) == pytest.approx(found["dice"], abs=1e-9)
    assert metrics.accuracy(alpha, truth) == pytest.approx(found["oa"], abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_kinds_of_arrays_agree(measure: Callable[[Any, Any], float]) -> None:
    alpha, truth = case(4, 24, 31)
    expected = measure(alpha, truth)
    assert 0 < expected < 1
    for given in (alpha / 255, (alpha / 255).astype(np.float32)):
        assert measure(given, truth) == pytest.approx(expected, abs=1e-6)
    for true in (truth * np.uint8(255), truth.astype(np.float64)):
        assert measure(alpha, true) == pytest.approx(expected, abs=1e-12)


def test_a_matte_is_cut_at_one_half() -> None:
    alpha, truth = case(5, 24, 31)
    soft = np.where(truth, np.uint8(128), np.uint8(127))
    for measure in (metrics.iou, metrics.f_curve, metrics.weighted_f, metrics.s_measure, metrics.e_measure):
        np.testing.assert_array_equal(measure(alpha, soft), measure(alpha, truth))


@pytest.mark.parametrize(
    ("alpha", "truth", "expected"),
    [
        # In the order of MEASURES.
        (0, 0, (1, 1, 1, 0, 0, 0, 1, 255 / 256)),  # at the threshold 0 all is foreground, which E minds
        (255, 0, (0, 0, 0, 1, 0, 0, 0, 0)),
        (0, 255, (0, 0, 0, 1, 1, None, 0, 1 / 256)),  # weighted F is smoothed with zeros around the image
        (255, 255, (1, 1, 1, 0, 1, 1, 1, 1)),
    ],
)
def test_constant_masks(alpha: int, truth: int, expected: tuple[Any, ...]) -> None:
    shape = (20, 30)
    arrays = np.full(shape, alpha, np.uint8), np.full(shape, truth, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [measure(*arrays) for measure in MEASURES]
    scaled = [*expected[:-1], expected[-1] * 600 / 599]  # E is over one pixel less
    for measure, value, wanted in zip(MEASURES, found, scaled, strict=True):
        assert value == pytest.approx(wanted, abs=1e-9) if wanted is not None else 0 < value < 0.5, measure.__name__


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 9)])
@pytest.mark.parametrize("measure", MEASURES)
def test_tiny_images(measure: Callable[[Any, Any], float], shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            alpha = generator.integers(0, 256, shape, np.uint8)
            truth = generator.random(shape) < 0.5
            assert 0 <= measure(alpha, truth) <= 2


@pytest.mark.parametrize("place", [np.s_[-1:, :], np.s_[:, -1:], np.s_[-1:, -1:], np.s_[:1, :1]])
def test_a_subject_at_the_edge_leaves_no_region_for_the_structure(place: tuple[slice, slice]) -> None:
    truth = np.zeros((12, 15), bool)
    truth[place] = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.s_measure(truth, truth) == pytest.approx(1, abs=1e-6)
        assert 0 <= metrics.s_measure(np.zeros((12, 15)), truth) < 1


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (np.zeros((2, 2, 3), np.uint8), r"shape \(2, 2, 3\)"),
        (np.zeros((0, 2), np.uint8), r"shape \(0, 2\)"),
        (np.zeros((2, 2), np.int32), "int32"),
        (np.full((2, 2), 1.5), "from 1.5 to 1.5"),
        (np.full((2, 2), -0.1), r"from -0\.1"),
        (np.full((2, 2), np.nan), "from nan to nan"),
    ],
)
def test_what_is_no_alpha(alpha: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        metrics.to_unit(alpha)


@pytest.mark.parametrize("measure", MEASURES)
def test_shapes_must_agree(measure: Callable[[Any, Any], float]) -> None:
    with pytest.raises(InputError, match=r"\(4, 5\) and the truth \(5, 4\)"):
        measure(np.zeros((4, 5), np.uint8), np.ones((5, 4), bool))


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    metrics._pysodmetrics.cache_clear()
    metrics._structure.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    yield
    metrics._pysodmetrics.cache_clear()
    metrics._structure.cache_clear()


def test_without_pysodmetrics(nothing_installed: None) -> None:
    alpha, truth = case(0, 8, 8)
    assert metrics.iou(alpha, truth) >= 0
    for measure in (metrics.weighted_f, metrics.s_measure, metrics.e_measure):
        with pytest.raises(
            UnavailableError, match=r"pysodmetrics is not installed: " + re.escape(install_command("train"))
        ):
            measure(alpha, np.ones((8, 8), bool))
