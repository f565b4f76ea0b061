# SPDX-License-Identifier: Apache-2.0
"""Which measures there are, and all of them for one picture."""

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
    """A figure of a picture, whose mean is that of a set.

    Attributes:
        key: In tables that programs read.
        title: In tables that people read.
        higher_is_better: Which direction is good.
        function: Of alpha and truth.
        of_matte: Only for truths that are mattes.
        slow: Takes about as long as all that are not slow together, or much longer.
        range: Its unit or range, for people.
    """

    key: str
    title: str
    higher_is_better: bool
    function: Callable[[Any, Any], float]
    of_matte: bool = False
    slow: bool = False
    range: str = "0..1"

    @property
    def arrow(self) -> str:
        """The direction that is good."""
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
    Measure("sad", "SAD", False, matte_metrics.sad, of_matte=True, range="thousands"),
    Measure("mse", "MSE", False, matte_metrics.mse, of_matte=True),
    Measure("grad", "Grad", False, matte_metrics.grad, of_matte=True, slow=True, range="thousands"),
    Measure("conn", "Conn", False, matte_metrics.conn, of_matte=True, slow=True, range="thousands"),
)


@dataclass(frozen=True)
class Score:
    """The figures of one picture.

    Attributes:
        values: By key, in the order of ``MEASURES``; what was not computed is not there.
        curve: (256,) the F-measure at each level, see ``metrics.f_curve``.
        empty: Whether the truth has no foreground, so that F and weighted F are 0 whatever the alpha.
    """

    values: dict[str, float]
    curve: Floats
    empty: bool


def score(alpha: Array, truth: Array, *, matte: MatteChoice = "auto", fast: bool = False) -> Score:
    """Compares an alpha with the truth.

    Args:
        alpha: (H, W) uint8.
        truth: (H, W) uint8.
        matte: "auto" has SAD, MSE, Grad and Conn for truths of more than two values, "always" for all.
        fast: Without the slow measures (weighted F, Grad, Conn).

    Raises:
        InputError: The shapes differ.
        UnavailableError: pysodmetrics or SciPy is not installed.
    """
    is_matte = matte == "always" or (matte == "auto" and np.count_nonzero(np.bincount(truth.ravel())) > 2)
    curve = metrics.f_curve(alpha, truth)
    values: dict[str, float] = {}
    for each in MEASURES:
        if (is_matte or not each.of_matte) and not (fast and each.slow):
            values[each.key] = float(curve.max()) if each.key == MAX_F else each.function(alpha, truth)
    return Score(values, curve, not metrics.to_mask(truth).any())


def read_truth(pair: Pair, size: tuple[int, int]) -> Array:
    """The mask of a pair at its picture's size (height, width): (H, W) uint8. Raises InputError as ``read_mask``."""
    return resize_mask(read_mask(pair.mask), size)


def matte_of(engine: Engine, pair: Pair) -> tuple[NDArray[Any], Array]:
    """The picture of a pair, (H, W, 3 or 4) uint8 RGB(A), and the engine's alpha of it, (H, W) uint8."""
    pixels = read_image(pair.image).pixels
    alpha: Array = engine.run(pixels)
    return pixels, alpha
