# SPDX-License-Identifier: Apache-2.0
"""How well an alpha follows a true matte, with hair and soft edges: SAD, MSE, Grad and Conn, as functions on arrays.

After Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009, with the parameters that
the field has settled on since. Everything is computed on the alpha as it is, over the whole picture or where asked for.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np

from ..errors import InputError, UnavailableError
from .metrics import Floats, Mask, check_same_size, to_unit

SIGMA = 1.4
STEPS = 10
_TOLERANCE = 0.15


def sad(alpha: Any, truth: Any, where: Any = None) -> float:
    """Sum of absolute differences, in thousands.

    Args:
        alpha: (H, W) uint8, or floating point in 0..1.
        truth: Of the same shape.
        where: (H, W) bool, the pixels that count, such as a trimap's unknown ones; None: all.
    """
    alpha, truth, where = _checked(alpha, truth, where)
    return float(np.abs(alpha - truth)[where].sum()) / 1000


def mse(alpha: Any, truth: Any, where: Any = None) -> float:
    """Mean squared difference of the pixels that count (0 if there are none). Arguments are those of ``sad``."""
    alpha, truth, where = _checked(alpha, truth, where)
    squares = np.square(alpha - truth)[where]
    return float(squares.mean()) if squares.size else 0.0


def grad(alpha: Any, truth: Any, where: Any = None) -> float:
    """Squared differences of the gradients' lengths, summed, in thousands: wrong or missing edges and hair.

    The gradient is a filter with the first derivative of a Gaussian of σ = 1.4, of nine taps, with a norm (root of the
    sum of squares) of 1; pixels outside the picture repeat its edge.

    Arguments are those of ``sad``.

    Raises:
        UnavailableError: SciPy is not installed.
    """
    alpha, truth, where = _checked(alpha, truth, where)
    return float(np.square(_gradient(alpha) - _gradient(truth))[where].sum()) / 1000


def conn(alpha: Any, truth: Any, where: Any = None) -> float:
    """Differences of connectivity, summed, in thousands: parts that float away from the subject.

    Both mattes are cut at 0.1, 0.2, ... 1. At each cut the largest 4-connected region of their intersection is the
    source; a pixel is connected up to the last level before it left the source. How far its alpha is above that level
    is how little it is connected; up to 0.15 that is overlooked.

    Arguments are those of ``sad``.

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
    # As far as the bell is above a hundredth: 4 for this sigma.
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
        common: (H, W), the smaller one of two mattes: where it reaches a level, both do.
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
    if importlib.util.find_spec("scipy") is None:
        raise UnavailableError('scipy is not installed: pip install "rmbg-trt[train]"')
    from scipy import ndimage

    return ndimage
