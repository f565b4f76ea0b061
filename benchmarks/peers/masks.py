# SPDX-License-Identifier: Apache-2.0
"""How far two mattes agree, so that nobody is faster by being wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def alpha_of(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8: the alpha of a cutout, or a gray image itself."""
    with Image.open(path) as image:
        return np.asarray(image.getchannel("A") if image.mode == "RGBA" else image.convert("L"))


def agreement(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> dict[str, float]:
    """Differences of alpha, 0..255, and how far the two foregrounds (alpha >= 128) cover each other."""
    difference = np.abs(a.astype(int) - b.astype(int))
    inside_a, inside_b = a >= 128, b >= 128
    union = np.count_nonzero(inside_a | inside_b)
    return {
        "mean_abs_alpha_of_255": round(float(difference.mean()), 5),
        "max_abs_alpha_of_255": int(difference.max()),
        "iou": round(float(np.count_nonzero(inside_a & inside_b) / union), 6) if union else 1.0,
    }


def worst(agreements: list[dict[str, float]]) -> dict[str, float]:
    """The largest differences and the smallest IoU of several images."""
    return {name: (min if name == "iou" else max)(each[name] for each in agreements) for name in agreements[0]}


def middle(agreements: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over several images."""
    return {name: float(np.median([each[name] for each in agreements])) for name in agreements[0]}
