# SPDX-License-Identifier: Apache-2.0
"""A matted frame, converted to whatever a sink needs, and the resizing of frames to one size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from .. import _core
from .. import background as backgrounds
from ..image import Array
from ..options import Output

GREEN = "#00b140"  # the chroma-key green of studios
_SQUARE = 16  # side of a checkerboard square in pixels


@dataclass(frozen=True)
class MattedFrame:
    """A frame and its result. The arrays are shared between sinks, so do not change them.

    Attributes:
        number: Index of the frame in the source; dropped frames leave gaps.
        captured_s: When it was captured, by `time.monotonic`.
        kind: The requested output: "alpha", "cutout" or "composite".
        frame: (H, W, 3) RGB uint8, the network's input.
        computed: What the engine returned, of kind ``computed_kind``.
        computed_kind: Differs from ``kind`` while the window shows the alpha of a composite: then it is a cutout, from
            which both can be made.
        background: Background of a composite.
        premultiplied: The colours of a cutout are multiplied by its alpha.
    """

    number: int
    captured_s: float
    kind: Output
    frame: Array
    computed: Array
    computed_kind: Output
    background: Any = None
    premultiplied: bool = False

    @cached_property
    def result(self) -> Array:
        """The requested output: alpha (H, W), cutout (H, W, 4) or composite (H, W, 3); RGB order, uint8."""
        if self.computed_kind == self.kind:
            return self.computed
        return composite(self.computed, self.background, self.frame)

    @property
    def alpha(self) -> Array | None:
        """(H, W) uint8; None if only a composite was computed."""
        return {"alpha": self.computed, "cutout": self.computed[..., -1], "composite": None}[self.computed_kind]

    def opaque(self, background: Any = GREEN) -> Array:
        """Return (H, W, 3) RGB: a composite as it is, an alpha as gray, a cutout over ``background``."""
        if self.kind == "cutout":
            return composite(self.result, background, self.frame, premultiplied=self.premultiplied)
        return gray(self.result) if self.kind == "alpha" else self.result


def gray(alpha: Array) -> Array:
    """Repeat (H, W) to (H, W, 3)."""
    return np.repeat(alpha[..., None], 3, axis=2)


def composite(cutout: Array, background: Any, frame: Array, *, premultiplied: bool = False) -> Array:
    """Put a cutout (H, W, 4) over a background; "blur" blurs ``frame``."""
    height, width = cutout.shape[:2]
    parsed = backgrounds.parse(background, height, width, "rgb")
    front = Image.fromarray(np.ascontiguousarray(cutout))
    if parsed.blur_sigma:
        back = Image.fromarray(_core.gaussian_blur(np.ascontiguousarray(frame), parsed.blur_sigma))
    elif isinstance(parsed.value, np.ndarray):
        back = Image.fromarray(np.ascontiguousarray(parsed.value))
    else:
        back = Image.new("RGB", (width, height), parsed.value)
    colors, alpha = front.convert("RGB"), front.getchannel(3)
    if premultiplied:
        return np.asarray(ImageChops.add(colors, Image.composite(Image.new("RGB", (width, height)), back, alpha)))
    return np.asarray(Image.composite(colors, back, alpha))


@lru_cache(maxsize=2)
def checkerboard(height: int, width: int) -> Array:
    """The usual pattern for transparency, (H, W, 3)."""
    rows, columns = np.arange(height)[:, None] // _SQUARE, np.arange(width)[None] // _SQUARE
    return gray(np.where((rows + columns) % 2, 155, 100).astype(np.uint8))


def letterbox(pixels: Array, size: tuple[int, int]) -> Array:
    """Scale (h, w, 3) to fit into ``size`` (height, width), centred on black; unchanged if it has that size."""
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
