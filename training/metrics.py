# SPDX-License-Identifier: Apache-2.0
"""Measures of salient object detection, as functions of two NumPy arrays: how well an alpha finds the subject.

Each takes an alpha (H, W) as ``to_unit`` accepts it, and a truth of the same shape. The alpha is used as it is: nothing
is stretched to the full range first, as evaluation scripts often do. "Cut at one half" means compared with 0.5.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .requirements import require

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BETA_SQUARED = 0.3
"""Weight of precision against recall in the F-measure: the standard value, from Achanta et al."""


def to_unit(alpha: Any) -> Floats:
    """Converts an alpha or matte to float64 in 0..1.

    Args:
        alpha: (H, W) uint8, or floating point in 0..1, or bool.

    Raises:
        InputError: It has another shape, dtype or range, or no pixels.
    """
    values = np.asarray(alpha)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"an alpha has shape {values.shape}; expected (height, width), each at least 1")
    if values.dtype == np.uint8:
        return values / 255.0
    if values.dtype == np.bool_:
        return values.astype(np.float64)
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"an alpha is {values.dtype}; expected uint8, bool or floating point")
    if not (values.min() >= 0 and values.max() <= 1):  # NaN fails both
        raise InputError(f"an alpha ranges from {values.min()} to {values.max()}; expected 0..1 (or uint8)")
    return values.astype(np.float64)


def to_mask(alpha: Any) -> Mask:
    """An alpha or matte cut at one half: (H, W) bool. Errors are those of ``to_unit``."""
    values = np.asarray(alpha)
    return values if values.dtype == np.bool_ and values.ndim == 2 and values.size else to_unit(values) >= 0.5


def accuracy(alpha: Any, truth: Any) -> float:
    """Share of the pixels that are equal in both, cut at one half; 0..1."""
    found, true = _masks(alpha, truth)
    return float((found == true).mean())


def iou(alpha: Any, truth: Any) -> float:
    """Intersection over union of both, cut at one half; 0..1, and 1 if both are empty."""
    found, true = _masks(alpha, truth)
    union = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / union if union else 1.0


def dice(alpha: Any, truth: Any) -> float:
    """Dice coefficient of both, cut at one half: twice the intersection over the sum of the areas.

    Returns:
        0..1, and 1 if both are empty.
    """
    found, true = _masks(alpha, truth)
    areas = np.count_nonzero(found) + np.count_nonzero(true)
    return 2 * np.count_nonzero(found & true) / areas if areas else 1.0


def mae(alpha: Any, truth: Any) -> float:
    """Mean absolute error of the values as they are; 0..1, 0 is perfect.

    Source:
        Perazzi et al., "Saliency Filters", CVPR 2012.
    """
    alpha, truth = to_unit(alpha), to_unit(truth)
    check_same_size(alpha, truth)
    return float(np.abs(alpha - truth).mean())


def f_curve(alpha: Any, truth: Any) -> Floats:
    """F-measure of an alpha cut at each of 256 levels; the truth is cut at one half.

    For a set, average the curves and then take the maximum ("maxF").

    Returns:
        (256,), each 0..1: at [t] a pixel is foreground from t/255 on. All 0 if the truth is empty.

    Source:
        Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009.
    """
    alpha, true = _unit_and_mask(alpha, truth)
    levels = np.floor(alpha * 255 + 1e-9).astype(np.intp)  # floor: 0.999 does not reach the level of 1

    def reached(pixels: NDArray[np.intp]) -> NDArray[np.int64]:
        """Number of pixels that have at least each of the levels."""
        return np.bincount(pixels, minlength=256)[::-1].cumsum()[::-1].astype(np.int64)

    hits, found = reached(levels[true]), reached(levels.ravel())
    # (1 + b)PR / (bP + R), with P = hits / found and R = hits / size, comes to this, which has no 0 / 0:
    weighted: Floats = (1 + BETA_SQUARED) * hits / np.maximum(found + BETA_SQUARED * np.count_nonzero(true), 1e-12)
    return weighted


def max_f(alpha: Any, truth: Any) -> float:
    """The largest value of ``f_curve``, for one image."""
    return float(f_curve(alpha, truth).max())


def weighted_f(alpha: Any, truth: Any) -> float:
    """Weighted F-measure (β = 1), in which the weight of an error depends on its position and neighbours.

    Computed by pysodmetrics, as are the next two; each raises UnavailableError if it is not installed.

    Returns:
        0..1, and 0 if the truth, cut at one half, is empty.

    Source:
        Margolin et al., "How to Evaluate Foreground Maps?", CVPR 2014.
    """
    alpha, true = _unit_and_mask(alpha, truth)
    if not true.any():
        return 0.0
    return float(_pysodmetrics().WeightedFmeasure().cal_wfm(alpha, true))


def s_measure(alpha: Any, truth: Any) -> float:
    """Structure measure (α = 0.5): similarity of the object and, in four regions about its centre, of the structure.

    Returns:
        0..1; for an empty truth 1 - the mean alpha, for a full one the mean alpha. The truth is cut at one half.

    Source:
        Fan et al., "Structure-measure: A New Way to Evaluate Foreground Maps", ICCV 2017.
    """
    alpha, true = _unit_and_mask(alpha, truth)
    return float(_structure().cal_sm(alpha, true))


def e_measure(alpha: Any, truth: Any) -> float:
    """Enhanced-alignment measure, the mean over 256 thresholds ("mean E"); the truth is cut at one half.

    Returns:
        0..1, up to rounding: the authors' program divides by one pixel less than there are, and so does this one.

    Source:
        Fan et al., "Enhanced-alignment Measure for Binary Foreground Map Evaluation", IJCAI 2018.
    """
    alpha, true = _unit_and_mask(alpha, truth)
    if alpha.size == 1:  # would divide by zero
        return float(np.mean((alpha.item() >= np.arange(256) / 255) == true.item()))
    measure = _pysodmetrics().Emeasure()
    measure.step(alpha, true, normalize=False)
    return float(np.mean(measure.changeable_ems[0]))


def check_same_size(alpha: NDArray[Any], truth: NDArray[Any]) -> None:
    """Raises InputError if two arrays have different shapes."""
    if alpha.shape != truth.shape:
        raise InputError(f"the alpha has shape {alpha.shape} and the truth {truth.shape}; expected the same")


def _masks(alpha: Any, truth: Any) -> tuple[Mask, Mask]:
    found, true = to_mask(alpha), to_mask(truth)
    check_same_size(found, true)
    return found, true


def _unit_and_mask(alpha: Any, truth: Any) -> tuple[Floats, Mask]:
    values, true = to_unit(alpha), to_mask(truth)
    check_same_size(values, true)
    return values, true


@functools.cache
def _pysodmetrics() -> Any:
    require("pysodmetrics")
    import py_sod_metrics

    return py_sod_metrics


@functools.cache
def _structure() -> Any:
    """The structure measure of pysodmetrics, with 0 rather than NaN for a region without pixels."""
    base: Any = _pysodmetrics().Smeasure

    class Structure(base):  # type: ignore[misc]
        def ssim(self, pred: Floats, gt: Mask) -> float:
            return float(super().ssim(pred, gt)) if pred.size else 0.0

    return Structure()
