# SPDX-License-Identifier: Apache-2.0
"""Words on a picture: figures, notes and the keys, in the window only; no recording and no other program sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..image import Array
from .keys import help_lines
from .sink import Status


def lines_of(status: Status) -> list[str]:
    """What is to be said now."""
    lines = []
    if status.overlay:
        latency = status.latency
        lines.append(
            f"{status.fps:.1f} fps   latency {latency.p50_ms:.0f} ms, 95 % {latency.p95_ms:.0f} ms   "
            f"dropped {status.dropped}"
        )
    lines += status.notes if status.overlay or status.help else ()
    return lines + (help_lines() if status.help else [])


def with_words(pixels: Array, lines: Sequence[str]) -> Array:
    """A copy of a picture (H, W, 3) with words at the top left, on a darker ground; the picture if there are none."""
    if not lines:
        return pixels
    height, width = pixels.shape[:2]
    size = max(11, min(height, width) // 30)
    font, gap = _font(size), size // 2
    step = size + size // 3
    words = max(int(font.getlength(line)) for line in lines)
    bottom, right = min(height, 2 * gap + step * len(lines)), min(width, 2 * gap + words)
    made: Array = pixels.copy()
    ground = Image.fromarray(np.ascontiguousarray(made[:bottom, :right]) // 3)
    draw = ImageDraw.Draw(ground)
    for row, line in enumerate(lines):
        draw.text((gap, gap + row * step), line, font=font, fill=(255, 255, 255))
    made[:bottom, :right] = np.asarray(ground)
    return made


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
