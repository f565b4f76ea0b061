# SPDX-License-Identifier: Apache-2.0
"""Does a network in reduced precision give the mattes of the float32 network? Compared on the package's photographs.

Each photograph is taken as it is and darkened to 30 %: dark frames are where reduced precision fails first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..export.int8_checks import agreement, recipe_matte
from ..export.pictures import Picture, load_pictures
from ..training.metrics import iou

DARK = 0.3

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, H, W) float32, normalised -> (1, 1, h, w) float32, probabilities."""


@dataclass(frozen=True)
class MatteCheck:
    """How far the mattes of a network are from those of the float32 network.

    Attributes:
        pictures: Number of pictures compared.
        mean_alpha: Mean of |Δalpha| over all pixels and pictures, 0 to 255.
        worst_iou: Smallest IoU of one picture; the foreground is alpha >= 128.
        worst_picture: The picture it belongs to.
        agreement: Mean IoU without the pixels where float32 itself is undecided (alpha 64 to 191): there the last bit
            decides.
    """

    pictures: int
    mean_alpha: float
    worst_iou: float
    worst_picture: str
    agreement: float

    def __str__(self) -> str:
        return (
            f"mean |Δalpha| {self.mean_alpha:.2f} of 255, worst IoU {self.worst_iou:.3f} ({self.worst_picture}), "
            f"against fp32 on {self.pictures} photographs"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def check_mattes(fp32: Predict, reduced: Predict, size: tuple[int, int]) -> MatteCheck:
    """Compare two networks through the whole recipe, up to alpha at the picture's size.

    Args:
        fp32: The reference.
        reduced: The same network in another precision.
        size: Input (height, width) of both.

    Raises:
        ModelError: A network gives NaN or Inf.
    """
    photographs = load_pictures(None)
    dark = [Picture(f"{each.name}, darkened", (each.rgb * DARK).astype(np.uint8)) for each in photographs]
    differences, ious, agreements, names = [], [], [], []
    for picture in (*photographs, *dark):
        x = _core.preprocess(picture.rgb, size, color="rgb")
        expected, got = recipe_matte(fp32(x), picture), recipe_matte(reduced(x), picture)
        differences.append(float(np.abs(got.astype(np.int16) - expected).mean()))
        ious.append(iou(got >= 128, expected >= 128))
        agreements.append(agreement(got, expected))
        names.append(picture.name)
    worst = int(np.argmin(ious))
    return MatteCheck(len(names), float(np.mean(differences)), ious[worst], names[worst], float(np.mean(agreements)))
