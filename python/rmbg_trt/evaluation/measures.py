# SPDX-License-Identifier: Apache-2.0
"""The list of measures, and all of them for one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..image import Array, read_image
from ..training import matte_metrics, metrics
from ..training.data import Pair, read_mask, resize_mask
from ..training.metrics import Floats

MatteChoice = Literal["auto", "always", "never"]
MATTE_CHOICES = ("auto", "always", "never")


@dataclass(frozen=True)
class Measure:
    """A measure of an image; for a set, its mean."""

    key: str  # in tables for programs
    title: str  # in tables for people
    higher_is_better: bool
    function: Callable[[Any, Any], float]  # of alpha and truth
    of_matte: bool = False  # only for truths that are mattes
    slow: bool = False  # takes at least as long as all fast ones together

    @property
    def arrow(self) -> str:
        """Whether higher or lower is better."""
        return "↑" if self.higher_is_better else "↓"


MAX_F = "max_f"
MEASURES = (
    Measure("mae", "MAE", False, metrics.mae),
    Measure("iou", "mIoU", True, metrics.iou),
    Measure("dice", "Dice", True, metrics.dice),
    Measure("accuracy", "accuracy", True, metrics.accuracy),
    Measure(MAX_F, "maxF", True, metrics.max_f),  # of a set: the maximum of the mean curve
    Measure("weighted_f", "weighted F", True, metrics.weighted_f, slow=True),
    Measure("s_measure", "S-measure", True, metrics.s_measure),
    Measure("e_measure", "mean E", True, metrics.e_measure),
    Measure("sad", "SAD", False, matte_metrics.sad, of_matte=True),
    Measure("mse", "MSE", False, matte_metrics.mse, of_matte=True),
    Measure("grad", "Grad", False, matte_metrics.grad, of_matte=True, slow=True),
    Measure("conn", "Conn", False, matte_metrics.conn, of_matte=True, slow=True),
)


@dataclass(frozen=True)
class Score:
    """The measures of one image."""

    values: dict[str, float]  # by key, in the order of MEASURES; without those that were not computed
    curve: Floats  # (256,) the F-measure at each level, see metrics.f_curve
    empty: bool  # whether the truth has no foreground, so that F and weighted F are 0 for any alpha


def score(alpha: Array, truth: Array, *, matte: MatteChoice = "auto", fast: bool = False) -> Score:
    """Compares an alpha with the truth.

    Args:
        alpha: (H, W) uint8.
        truth: (H, W) uint8.
        matte: "auto" computes SAD, MSE, Grad and Conn for truths of more than two values, "always" for all.
        fast: Skip the slow measures (weighted F, Grad, Conn).

    Raises:
        InputError: The shapes differ.
        UnavailableError: pysodmetrics or SciPy is not installed.
    """
    is_matte = matte == "always" or (matte == "auto" and np.count_nonzero(np.bincount(truth.ravel())) > 2)
    curve = metrics.f_curve(alpha, truth)
    values: dict[str, float] = {}
    for measure in MEASURES:
        if (is_matte or not measure.of_matte) and not (fast and measure.slow):
            values[measure.key] = float(curve.max()) if measure.key == MAX_F else measure.function(alpha, truth)
    return Score(values, curve, not metrics.to_mask(truth).any())


def read_truth(pair: Pair, size: tuple[int, int]) -> Array:
    """The mask of a pair at the (height, width) of its image: (H, W) uint8. Raises InputError like ``read_mask``."""
    return resize_mask(read_mask(pair.mask), size)


def matte_of(engine: Engine, pair: Pair) -> tuple[NDArray[Any], Array]:
    """The image of a pair, (H, W, 3 or 4) uint8 RGB(A), and the engine's alpha for it, (H, W) uint8."""
    pixels = read_image(pair.image).pixels
    alpha: Array = engine.run(pixels)
    return pixels, alpha
