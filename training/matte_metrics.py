# SPDX-License-Identifier: Apache-2.0
"""Measures of image matting, as functions of two arrays: SAD, MSE, Grad and Conn, for hair and soft edges.

After Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009, with the parameters that
are standard today. All are computed on the alpha as it is, over the whole image or a part of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError
from .metrics import Floats, Mask, check_same_size, to_unit
from .requirements import require

SIGMA = 1.4
STEPS = 10
_TOLERANCE = 0.15


def sad(alpha: Any, truth: Any, where: Any = None) -> float:
    """Sum of absolute differences, in thousands.

    Args:
        alpha: (H, W) uint8, or floating point in 0..1.
        truth: Of the same shape.
        where: (H, W) bool, the pixels that count, such as the unknown ones of a trimap; None: all.
    """
    alpha, truth, where = _checked(alpha, truth, where)
    return float(np.abs(alpha - truth)[where].sum()) / 1000


def mse(alpha: Any, truth: Any, where: Any = None) -> float:
    """Mean squared difference of the pixels that count (0 if there are none). For arguments, see ``sad``."""
    alpha, truth, where = _checked(alpha, truth, where)
    squares = np.square(alpha - truth)[where]
    return float(squares.mean()) if squares.size else 0.0


def grad(alpha: Any, truth: Any, where: Any = None) -> float:
    """Sum of squared differences of the gradient magnitudes, in thousands: wrong or missing edges and hair.

    The gradient is a convolution with the first derivative of a Gaussian of σ = 1.4, nine taps, with an L2 norm of 1;
    pixels outside the image repeat its edge. For arguments, see ``sad``.

    Raises:
        UnavailableError: SciPy is not installed.
    """
    alpha, truth, where = _checked(alpha, truth, where)
    return float(np.square(_gradient(alpha) - _gradient(truth))[where].sum()) / 1000


def conn(alpha: Any, truth: Any, where: Any = None) -> float:
    """Sum of differences of connectivity, in thousands: parts that are detached from the subject.

    Both mattes are cut at 0.1, 0.2, ... 1. At each level, the largest 4-connected region of their intersection is the
    source; a pixel is connected up to the last level at which it belongs to the source. Its disconnectedness is the
    amount of its alpha above that level; up to 0.15 is ignored. For arguments, see ``sad``.

    Raises:
        UnavailableError: SciPy is not installed.
    """
    alpha, truth, where = _checked(alpha, truth, where)
    level = _connected_up_to(np.minimum(alpha, truth))

    def connectivity(matte: Floats) -> Floats:
        above = matte - level
        return 1 - np.where(above >= _TOLERANCE, above, 0)

    return float(np.abs(connectivity(alpha) - connectivity(truth))[where].sum()) / 1000


def _checked(alpha: Any, truth: Any, where: Any) -> tuple[Floats, Floats, Mask]:
    alpha, truth = to_unit(alpha), to_unit(truth)
    check_same_size(alpha, truth)
    if where is None:
        return alpha, truth, np.ones(alpha.shape, bool)
    where = np.asarray(where)
    if where.dtype != np.bool_ or where.shape != alpha.shape:
        raise InputError(f"where is {where.dtype} {where.shape}; expected bool {alpha.shape}")
    return alpha, truth, where


def _gradient(matte: Floats) -> Floats:
    """Length of the gradient at each pixel, (H, W)."""
    ndimage = _scipy_ndimage()
    # As far as the Gaussian is above 0.01: 4 for this sigma.
    radius = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * 0.01)))
    x = np.arange(-radius, radius + 1)
    bell = np.exp(-(x**2) / (2 * SIGMA**2))
    slope = x * bell
    bell, slope = bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)

    def filtered(along_y: Floats, along_x: Floats) -> Any:
        rows = ndimage.correlate1d(matte, along_y, axis=0, mode="nearest")
        return ndimage.correlate1d(rows, along_x, axis=1, mode="nearest")

    length: Floats = np.hypot(filtered(bell, slope), filtered(slope, bell))
    return length


def _connected_up_to(common: Floats) -> Floats:
    """The last level, in steps of 0.1, at which a pixel belongs to the largest region from that level on: (H, W).

    Args:
        common: (H, W), the pixelwise minimum of two mattes: where it reaches a level, both do.
    """
    ndimage = _scipy_ndimage()
    level = np.zeros(common.shape)
    inside = np.ones(common.shape, bool)  # of the regions of all levels so far
    for step in range(1, STEPS + 1):
        labels, regions = ndimage.label(common >= step / STEPS)
        if not regions:
            break
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0  # the background
        inside &= labels == sizes.argmax()
        level[inside] = step / STEPS
    return level


def _scipy_ndimage() -> Any:
    require("scipy")
    from scipy import ndimage

    return ndimage
