# SPDX-License-Identifier: Apache-2.0
"""A frame that is matted, in all the looks that sinks want it in, and frames of any size brought to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from PIL import Image

from .. import _core
from .. import background as backgrounds
from ..image import Array
from .options import Output

GREEN = "#00b140"  # of the cloth in studios, which programs for keying know
_SQUARE = 16  # pixels of a checkerboard


@dataclass(frozen=True)
class Matted:
    """A frame and what was made of it. All arrays are shared, so do not change them.

    Attributes:
        number: Of the frame; counts all that the source gave, so dropped ones leave gaps.
        captured_s: When it came, by `time.monotonic`.
        kind: What was asked for: "alpha", "cutout" or "composite".
        frame: (H, W, 3) RGB, as the network saw it.
        made: What the network's side gave, of the kind ``made_kind``.
        made_kind: Differs from ``kind`` while the alpha is looked at: a cutout then, which holds both.
        behind: Background of a composite.
    """

    number: int
    captured_s: float
    kind: Output
    frame: Array
    made: Array
    made_kind: Output
    behind: Any = None

    @cached_property
    def result(self) -> Array:
        """What was asked for: alpha (H, W), cutout (H, W, 4) or composite (H, W, 3); RGB order, uint8."""
        return self.made if self.made_kind == self.kind else put_over(self.made, self.behind, self.frame)

    @property
    def alpha(self) -> Array | None:
        """(H, W) uint8; None if only a composite was made."""
        return {"alpha": self.made, "cutout": self.made[..., -1], "composite": None}[self.made_kind]

    def opaque(self, over: Any = GREEN) -> Array:
        """(H, W, 3) RGB: a composite; an alpha as gray; a cutout over something."""
        if self.kind == "cutout":
            return put_over(self.result, over, self.frame)
        return gray(self.result) if self.kind == "alpha" else self.result


def gray(alpha: Array) -> Array:
    """(H, W) to (H, W, 3)."""
    return np.repeat(alpha[..., None], 3, axis=2)


def put_over(cutout: Array, behind: Any, frame: Array) -> Array:
    """A cutout (H, W, 4) over a background, with what the frame itself gives for "blur"."""
    height, width = cutout.shape[:2]
    parsed = backgrounds.parse(behind, height, width, "rgb")
    front = Image.fromarray(np.ascontiguousarray(cutout))
    if parsed.blur_sigma:
        back = Image.fromarray(_core.gaussian_blur(np.ascontiguousarray(frame), parsed.blur_sigma))
    elif isinstance(parsed.value, np.ndarray):
        back = Image.fromarray(np.ascontiguousarray(parsed.value))
    else:
        back = Image.new("RGB", (width, height), parsed.value)
    return np.asarray(Image.composite(front.convert("RGB"), back, front.getchannel(3)))


@lru_cache(maxsize=2)
def checkerboard(height: int, width: int) -> Array:
    """What transparency looks like: (H, W, 3)."""
    rows, columns = np.arange(height)[:, None] // _SQUARE, np.arange(width)[None] // _SQUARE
    return gray(np.where((rows + columns) % 2, 155, 100).astype(np.uint8))


def fitted(pixels: Array, size: tuple[int, int]) -> Array:
    """Scales (h, w, 3) to lie within ``size`` (height, width), in the middle of black; as it is if it has that size."""
    if pixels.shape[:2] == size:
        return pixels
    height, width = pixels.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, min(size[0], round(height * scale))), max(1, min(size[1], round(width * scale)))
    scaled = _core.resample(np.ascontiguousarray(pixels), inner, "bilinear")
    if inner == size:
        return scaled
    canvas: Array = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = scaled
    return canvas
