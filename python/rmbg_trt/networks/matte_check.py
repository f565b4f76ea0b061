# SPDX-License-Identifier: Apache-2.0
"""Compares the mattes of a network in reduced precision with those of fp32, on the package's photographs.

Each photograph is also darkened to 30 %, because reduced precision fails first in dark frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..export.images import NamedImage, load_images
from ..export.int8_checks import agreement, recipe_matte
from ..training.metrics import iou

DARK = 0.3

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, H, W) float32, normalised -> (1, 1, h, w) float32, probabilities."""


@dataclass(frozen=True)
class MatteCheck:
    """How far the mattes of a network are from those of fp32.

    Attributes:
        images: Number of images compared.
        mean_alpha: Mean of |Δalpha| over all pixels and images, 0 to 255.
        worst_iou: Smallest IoU of one image; the foreground is alpha >= 128.
        worst_image: The image with this IoU.
        agreement: Mean IoU without the pixels where fp32 itself is undecided (alpha 64 to 191).
    """

    images: int
    mean_alpha: float
    worst_iou: float
    worst_image: str
    agreement: float

    def __str__(self) -> str:
        return (
            f"mean |Δalpha| {self.mean_alpha:.2f} of 255, worst IoU {self.worst_iou:.3f} ({self.worst_image}), "
            f"against fp32 on {self.images} photographs"
        )


def check_mattes(fp32: Predict, reduced: Predict, size: tuple[int, int]) -> MatteCheck:
    """Compares two networks through the whole recipe, up to alpha at the image's size.

    Args:
        fp32: The reference.
        reduced: The same network in another precision.
        size: Input (height, width) of both.

    Raises:
        ModelError: A network gives NaN or Inf.
    """
    photographs = load_images(None)
    dark = [NamedImage(f"{image.name}, darkened", (image.rgb * DARK).astype(np.uint8)) for image in photographs]
    differences, ious, agreements, names = [], [], [], []
    for image in (*photographs, *dark):
        x = _core.preprocess(image.rgb, size, color="rgb")
        expected, got = recipe_matte(fp32(x), image), recipe_matte(reduced(x), image)
        differences.append(float(np.abs(got.astype(np.int16) - expected).mean()))
        ious.append(iou(got >= 128, expected >= 128))
        agreements.append(agreement(got, expected))
        names.append(image.name)
    worst = int(np.argmin(ious))
    return MatteCheck(len(names), float(np.mean(differences)), ious[worst], names[worst], float(np.mean(agreements)))
