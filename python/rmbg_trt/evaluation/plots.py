# SPDX-License-Identifier: Apache-2.0
"""Plots of an evaluation (the F-measure over the threshold, the distribution of IoU) and contact sheets of images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..image import Array
from ..training.requirements import require
from .result import Evaluation

TILE = 180  # the longer side of a thumbnail, in pixels
_GAP, _LINE, _MARGIN = 6, 18, 12
_PAPER, _INK, _CELL = (255, 255, 255), (30, 30, 30), (238, 238, 238)


def f_curves(evaluation: Evaluation) -> bytes:
    """A PNG file: for each model the mean F-measure at each threshold, with the maximum marked."""
    figure, axes = _figure()
    thresholds = np.arange(256) / 255
    for model in evaluation.models:
        curve = model.curve()
        best = int(curve.argmax())
        (line,) = axes.plot(thresholds, curve, label=f"{model.label}: {curve[best]:.4f} at {thresholds[best]:.2f}")
        axes.plot(thresholds[best], curve[best], "o", color=line.get_color())
    axes.set(xlabel="threshold", ylabel="F-measure (β² = 0.3)", xlim=(0, 1), ylim=(None, 1))
    axes.legend(loc="lower center")
    return _png(figure)


def iou_histogram(evaluation: Evaluation) -> bytes:
    """A PNG file: the distribution of IoU over the images, a step line for each model."""
    figure, axes = _figure()
    edges = np.linspace(0, 1, 41)
    for model in evaluation.models:
        values = [image.iou for image in model.images]
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, fill=len(evaluation.models) == 1, label=f"{model.label}: mean {np.mean(values):.4f}")
    axes.set(xlabel="IoU", ylabel="images", xlim=(0, 1))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper left")
    return _png(figure)


@dataclass(frozen=True)
class Row:
    """A row of a contact sheet."""

    title: str  # above the row
    tiles: list[Image.Image]  # RGB thumbnails, at most TILE wide and high


def thumbnail(pixels: NDArray[Any]) -> Image.Image:
    """A small RGB copy of (H, W), (H, W, 3) or (H, W, 4) uint8; transparent parts become gray."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, (*_CELL, 255)), image).convert("RGB")
    return image.convert("RGB")


def difference(alpha: Array, truth: Array) -> Array:
    """The errors of an alpha on white: red where it is too high, blue where it is too low.

    Args:
        alpha: (H, W) uint8.
        truth: (H, W) uint8.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    error = alpha.astype(np.int16) - truth
    too_high, too_low = np.maximum(error, 0), np.maximum(-error, 0)
    return (255 - np.stack((too_low, too_high + too_low, too_high), axis=2)).astype(np.uint8)


def draw_sheet(heading: str, columns: Sequence[str], rows: Sequence[Row], *, abreast: int = 2) -> bytes:
    """Draws a contact sheet.

    Args:
        heading: At the top.
        columns: The titles of the tiles of each row.
        rows: At least one.
        abreast: Number of rows next to each other.

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
        for number, column in enumerate(columns):
            corner = (_MARGIN + index * width + number * cell, top - _LINE - _GAP // 2)
            pen.text(corner, _shorten(pen, column, font, TILE), _INK, font)
    for index, row in enumerate(rows):
        x, y = _MARGIN + index % abreast * width, top + index // abreast * height
        pen.text((x, y), _shorten(pen, row.title, font, width - _MARGIN), _INK, font)
        for number, tile in enumerate(row.tiles):
            left = x + number * cell
            pen.rectangle((left, y + _LINE, left + TILE - 1, y + _LINE + TILE - 1), _CELL)
            image.paste(tile, (left + (TILE - tile.width) // 2, y + _LINE + (TILE - tile.height) // 2))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _shorten(pen: ImageDraw.ImageDraw, text: str, font: Any, width: int) -> str:
    """As much of a text as fits into a width in pixels: its end, in which file names usually differ."""
    text = " ".join(text.split())
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(f"...{text}", font) > width:
        text = text[1:]
    return f"...{text}"


def _figure() -> tuple[Any, Any]:
    """A figure without pyplot, so without a window system or global state."""
    require("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
