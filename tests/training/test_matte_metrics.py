# SPDX-License-Identifier: Apache-2.0
"""The measures of a matte: hand-computed cases, and slow references that loop over the pixels."""

from __future__ import annotations

import importlib.util
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rmbg_trt.errors import InputError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.training import matte_metrics
from rmbg_trt.training.matte_metrics import conn, grad, mse, sad

pytest.importorskip("scipy")

MEASURES = [sad, mse, grad, conn]


def case(seed: int, height: int = 17, width: int = 23) -> tuple[np.ndarray, np.ndarray]:
    """Two soft mattes in 0..1, alike but not the same, with parts that float free."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = np.clip(1.5 - np.hypot(y - height * 0.6, x - width * 0.4) / 4, 0, 1)
    truth[1:4, -5:-2] = 0.8
    alpha = np.clip(truth + generator.normal(0, 0.25, truth.shape), 0, 1)
    return np.round(alpha * 255) / 255, np.round(truth * 255) / 255


# References.


def slow_grad(alpha: np.ndarray, truth: np.ndarray) -> float:
    """The two-dimensional filter written out, and its norm taken in two dimensions."""
    radius = 4
    taps = {}
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            taps[dy, dx] = -dx * math.exp(-(dx * dx + dy * dy) / (2 * 1.4 * 1.4))
    norm = math.sqrt(sum(tap * tap for tap in taps.values()))

    def length(matte: np.ndarray, row: int, column: int) -> float:
        height, width = matte.shape
        sums = [0.0, 0.0]
        for (dy, dx), tap in taps.items():
            y, x = min(max(row + dy, 0), height - 1), min(max(column + dx, 0), width - 1)
            sums[0] += tap / norm * matte[y, x]
            y, x = min(max(row + dx, 0), height - 1), min(max(column + dy, 0), width - 1)
            sums[1] += tap / norm * matte[y, x]
        return math.hypot(*sums)

    return sum((length(alpha, *at) - length(truth, *at)) ** 2 for at in np.ndindex(*alpha.shape)) / 1000


def largest_region(mask: np.ndarray) -> set[tuple[int, int]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    best: set[tuple[int, int]] = set()
    for start in sorted(left):
        if start not in left:
            continue
        region, front = set(), [start]
        left.remove(start)
        while front:
            y, x = front.pop()
            region.add((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    front.append(near)
        if len(region) > len(best):
            best = region
    return best


def slow_conn(alpha: np.ndarray, truth: np.ndarray) -> float:
    levels = dict.fromkeys(np.ndindex(*alpha.shape), 1.0)
    open_ = set(levels)
    for step in range(1, 11):
        source = largest_region((alpha >= step / 10) & (truth >= step / 10))
        for at in [at for at in open_ if at not in source]:
            levels[at] = (step - 1) / 10
            open_.remove(at)

    def connectivity(matte: np.ndarray, at: tuple[int, int]) -> float:
        above = matte[at] - levels[at]
        return 1 - (above if above >= 0.15 else 0)

    return sum(abs(connectivity(alpha, at) - connectivity(truth, at)) for at in levels) / 1000


@pytest.mark.parametrize("seed", range(4))
def test_grad_as_the_slow_one(seed: int) -> None:
    alpha, truth = case(seed)
    assert grad(alpha, truth) == pytest.approx(slow_grad(alpha, truth), rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_conn_as_the_slow_one(seed: int) -> None:
    alpha, truth = case(seed)
    expected = slow_conn(alpha, truth)
    assert expected > 0
    assert conn(alpha, truth) == pytest.approx(expected, rel=1e-9)


# By hand.


def test_sad_and_mse() -> None:
    alpha = np.array([[255, 0], [51, 255]], np.uint8)
    truth = np.array([[255, 255], [0, 0]], np.uint8)
    assert sad(alpha, truth) == pytest.approx(2.2 / 1000)
    assert mse(alpha, truth) == pytest.approx((1 + 0.04 + 1) / 4)


def test_grad_of_a_step() -> None:
    """Next to a step, the gradient is the sum of the taps on one side, times the bell's sum."""
    step = np.zeros((30, 40))
    step[:, 20:] = 1
    x = np.arange(-4, 5)
    bell, slope = np.exp(-(x**2) / 3.92), x * np.exp(-(x**2) / 3.92)
    bell, slope = bell / np.sqrt((bell**2).sum()), slope / np.sqrt((slope**2).sum())
    sides = [slope[4 + distance :].sum() * bell.sum() for distance in (1, 2, 3, 4)]
    per_row = 2 * sum(each**2 for each in sides)
    assert grad(step, np.zeros_like(step)) == pytest.approx(30 * per_row / 1000)


def test_conn_of_an_island() -> None:
    """A part of the alpha that floats free, and is not in the truth, counts with its alpha."""
    truth = np.zeros((10, 20))
    truth[:, :5] = 1
    alpha = truth.copy()
    alpha[4:6, 10:13] = 0.8
    assert conn(alpha, truth) == pytest.approx(6 * 0.8 / 1000)
    alpha[4:6, 10:13] = 0.1
    assert conn(alpha, truth) == 0, "below 0.15 nothing is missed"


def test_conn_tells_an_island_from_an_edge() -> None:
    """The island is in both, with another alpha: it belongs to no source, so its whole difference counts."""
    truth = np.zeros((10, 20))
    truth[:, :5] = 1
    truth[4:6, 10:13] = 1
    alpha = truth.copy()
    alpha[4:6, 10:13] = 0.5
    assert conn(alpha, truth) == pytest.approx(6 * 0.5 / 1000)
    edge = truth.copy()
    edge[:, 4] = 0.95  # hangs together up to 0.9, and is within the tolerance of it
    assert conn(edge, truth) == 0


# All of them.


@pytest.mark.parametrize("measure", MEASURES)
def test_where(measure: Callable[..., float]) -> None:
    alpha, truth = case(1)
    whole = measure(alpha, truth)
    assert measure(alpha, truth, np.ones(alpha.shape, bool)) == whole
    assert measure(alpha, truth, np.zeros(alpha.shape, bool)) == 0
    left = np.zeros(alpha.shape, bool)
    left[:, :9] = True
    parts = measure(alpha, truth, left), measure(alpha, truth, ~left)
    if measure is mse:
        parts = parts[0] * left.mean(), parts[1] * (~left).mean()
    assert sum(parts) == pytest.approx(whole)
    assert min(parts) > 0


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_mattes(measure: Callable[..., float], value: int) -> None:
    """What is the same has no error; and nothing is divided by nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in ((1, 1), (1, 7), (20, 11)):
            same = np.full(shape, value, np.uint8)
            assert measure(same, same) == 0
            assert measure(same, np.zeros(shape, np.uint8)) >= 0


@pytest.mark.parametrize("measure", MEASURES)
def test_the_kinds_of_arrays_agree(measure: Callable[..., float]) -> None:
    alpha, truth = case(2)
    expected = measure(alpha, truth)
    given = [np.round(each * 255).astype(np.uint8) for each in (alpha, truth)]
    assert measure(*given) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("alpha", "truth", "where", "words"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), None, r"\(2, 3\) and the truth \(3, 2\)"),
        (np.full((2, 3), 2.0), np.zeros((2, 3)), None, "from 2.0 to 2.0"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.ones((2, 3)), r"where is float64"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.ones((3, 2), bool), r"where is bool \(3, 2\)"),
    ],
)
def test_bad_arguments(measure: Callable[..., float], alpha: Any, truth: Any, where: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        measure(alpha, truth, where)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    zeros = np.zeros((4, 4))
    assert sad(zeros, zeros) == mse(zeros, zeros) == 0
    for measure in (matte_metrics.grad, matte_metrics.conn):
        with pytest.raises(UnavailableError, match=r"scipy is not installed: " + re.escape(install_command("train"))):
            measure(zeros, zeros)
