# SPDX-License-Identifier: Apache-2.0
"""Makes pictures smaller, for sets that are trained on at a small size anyway. Masks: see `masks.resize_mask`."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...image import Array


def smaller_size(size: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    """The size whose shorter side is at most ``shorter``, with the aspect of ``size``; never a larger one.

    Args:
        size: (height, width).
        shorter: In pixels; None leaves the size as it is.
    """
    height, width = size
    side = min(size)
    if shorter is None or side <= shorter:
        return size
    return max(round(height * shorter / side), 1), max(round(width * shorter / side), 1)


def resize_picture(pixels: Array, size: tuple[int, int]) -> Array:
    """Resizes a picture with Lanczos.

    Args:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8.
        size: (height, width).

    Returns:
        (height, width, 3 or 4) uint8.
    """
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
