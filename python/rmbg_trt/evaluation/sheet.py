# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: pictures with their truth, the models' alphas and where these are wrong, for people to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..image import Array

TILE = 180  # the longer side of a thumbnail, in pixels
_GAP, _LINE, _MARGIN = 6, 18, 12
_PAPER, _INK, _CELL = (255, 255, 255), (30, 30, 30), (238, 238, 238)


@dataclass(frozen=True)
class Row:
    """A line of a sheet.

    Attributes:
        title: Stands above it.
        tiles: Thumbnails, RGB, each at most ``TILE`` wide and high.
    """

    title: str
    tiles: list[Image.Image]


def thumbnail(pixels: NDArray[Any]) -> Image.Image:
    """A small RGB copy of (H, W), (H, W, 3) or (H, W, 4) uint8; transparent parts lie on gray."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, (*_CELL, 255)), image).convert("RGB")
    return image.convert("RGB")


def difference(alpha: Array, truth: Array) -> Array:
    """Where an alpha is wrong: red where there is too much of it, blue where some is missing, on white.

    Args:
        alpha: (H, W) uint8.
        truth: (H, W) uint8.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    error = alpha.astype(np.int16) - truth
    too_much, missing = np.maximum(error, 0), np.maximum(-error, 0)
    return (255 - np.stack((missing, too_much + missing, too_much), axis=2)).astype(np.uint8)


def draw(heading: str, columns: Sequence[str], rows: Sequence[Row], *, abreast: int = 2) -> bytes:
    """Draws a sheet.

    Args:
        heading: On top.
        columns: What the tiles of each row are.
        rows: At least one.
        abreast: Rows beside each other.

    Returns:
        A PNG file.
    """
    abreast = min(abreast, len(rows))
    cell = TILE + _GAP
    width, height = len(columns) * cell + _MARGIN, TILE + _LINE + _MARGIN
    lines = -(-len(rows) // abreast)
    top = _MARGIN + 2 * _LINE + _MARGIN
    image = Image.new("RGB", (abreast * width + _MARGIN, top + lines * height), _PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    pen.text((_MARGIN, _MARGIN), heading, _INK, font)
    for index in range(abreast):
        for at, column in enumerate(columns):
            pen.text(
                (_MARGIN + index * width + at * cell, top - _LINE - _GAP // 2),
                _cut(pen, column, font, TILE),
                _INK,
                font,
            )
    for index, row in enumerate(rows):
        x, y = _MARGIN + index % abreast * width, top + index // abreast * height
        pen.text((x, y), _cut(pen, row.title, font, width - _MARGIN), _INK, font)
        for at, tile in enumerate(row.tiles):
            left = x + at * cell
            pen.rectangle((left, y + _LINE, left + TILE - 1, y + _LINE + TILE - 1), _CELL)
            image.paste(tile, (left + (TILE - tile.width) // 2, y + _LINE + (TILE - tile.height) // 2))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _cut(pen: ImageDraw.ImageDraw, text: str, font: Any, width: int) -> str:
    """As much of a text as fits into a width in pixels; its end, which is what tells file names apart."""
    text = " ".join(text.split())
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(f"...{text}", font) > width:
        text = text[1:]
    return f"...{text}"
