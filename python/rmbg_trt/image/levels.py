# SPDX-License-Identifier: Apache-2.0
"""Samples of 16 and 32 bits to levels of 8 bits.

16-bit values keep their high byte, as Pillow does for 16-bit color. 32-bit integers and floats have no fixed white:
integers are read as 8 or 16 bits if they fit, floats as 0..1 or 0..255 if all but a few pixels do, and anything else is
stretched from its minimum to its maximum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]

_OVERSHOOT = 0.1  # floats so far outside 0..1 are clipped; sharpening and resizing make such values
_FEW = 0.1  # percent of the pixels at either end that do not decide the range of floats
_DARK = 64  # floats up to here are not taken for 0..255, which would be all but black


def to_levels(values: NDArray[Any]) -> Array:
    """Converts integers of 16 or 32 bits, or floats, of any shape to uint8."""
    if np.issubdtype(values.dtype, np.floating):
        return _float_levels(values)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        return np.ascontiguousarray((values >> 8).astype(np.uint8))
    return _integer_levels(values)


def _integer_levels(values: NDArray[Any]) -> Array:
    """16-bit signed and 32-bit integers (H, W) to uint8."""
    low, high = int(values.min()), int(values.max())
    top = 32767 if values.dtype == np.int16 else 65535
    if low < 0 or high > top:
        return _stretched(values.astype(np.float64), low, high)
    levels: Array = (values >> (0 if high <= 255 else top.bit_length() - 8)).astype(np.uint8)
    return levels


def _float_levels(values: NDArray[Any]) -> Array:
    """Floats to uint8; what is not finite gives 0."""
    exact = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low = float(np.percentile(exact, _FEW, method="lower"))
    high = float(np.percentile(exact, 100 - _FEW, method="higher"))
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return _stretched(exact, 0, 1)
    if low < 0 or high > 255:
        return _stretched(exact, low, high)
    return _stretched(exact, 0, 255 if high >= _DARK or not (exact % 1).any() else high)


def _stretched(values: NDArray[Any], low: float, high: float) -> Array:
    """Maps ``low``..``high`` to 0..255; a constant gives 0."""
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = values - low  # one copy; the rest is done in place
    scaled *= 255
    scaled /= high - low
    np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled)
    return np.ascontiguousarray(scaled.astype(np.uint8))
