# SPDX-License-Identifier: Apache-2.0
"""A set at a glance: a contact sheet, so that a wrong mask is seen before days of training, and a chart of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...files import atomic_file
from ...image import read_image
from ..requirements import require
from .masks import read_mask, resize_mask
from .pairs import SPLITS, Pair
from .write_pair import resize_image, smaller_size

_CELL = 150  # pixels: the longer side of an image
_LABEL, _GAP, _COLUMNS = 14, 8, 6
_PAPER, _INK, _BACKGROUND = (24, 24, 24), (230, 230, 230), (200, 40, 120)


def contact_sheet(pairs: Sequence[Pair], count: int = 48) -> Image.Image:
    """Draws pairs: the image, and next to it the image with what the mask calls background in one color.

    Args:
        pairs: Of a prepared set.
        count: How many to draw at most, spread evenly over categories and splits.

    Returns:
        RGB; each pair with its name and split.
    """
    chosen = _choose(pairs, count)
    width, height = 2 * _CELL + _GAP, _CELL + _LABEL + _GAP
    columns = min(_COLUMNS, max(len(chosen), 1))
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for index, pair in enumerate(chosen):
        left, top = _GAP + index % columns * width, _GAP + index // columns * height
        draw.text((left, top), f"{pair.name}  {pair.split}", _INK, font)
        for half in _halves(pair):
            sheet.paste(half, (left, top + _LABEL))
            left += half.width + 1
    return sheet


def plot_data(pairs: Sequence[Pair], target: Path) -> None:
    """Draws the images per category as bars, with a color for each split.

    Args:
        pairs: Of a prepared set.
        target: A PNG.

    Raises:
        UnavailableError: matplotlib is not installed.
        Error: The file cannot be written.
    """
    require("matplotlib")
    from matplotlib.figure import Figure

    counts = Counter((pair.category, pair.split) for pair in pairs)
    categories = sorted({pair.category for pair in pairs})
    figure = Figure(figsize=(7, 1.2 + 0.5 * len(categories)), layout="constrained")
    axes = figure.add_subplot()
    left = [0] * len(categories)
    for split in SPLITS:
        widths = [counts[category, split] for category in categories]
        axes.barh(categories, widths, left=left, label=f"{split} ({sum(widths):,})")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, total in enumerate(left):
        axes.text(total, row, f" {total:,}", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("images")
    figure.legend(loc="outside upper center", ncols=len(SPLITS), frameon=False)
    with atomic_file(target) as file:
        figure.savefig(file, format="png", dpi=120)


def _choose(pairs: Sequence[Pair], count: int) -> list[Pair]:
    kinds: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        kinds.setdefault((pair.category, pair.split), []).append(pair)
    chosen: list[Pair] = []
    for place, same in enumerate(sorted(kinds.values(), key=len)):  # large kinds use what small kinds leave
        share = max((count - len(chosen)) // (len(kinds) - place), 1)
        chosen += [same[index] for index in np.linspace(0, len(same) - 1, min(share, len(same))).round().astype(int)]
    order = {pair.name: index for index, pair in enumerate(pairs)}
    return sorted(chosen, key=lambda pair: order[pair.name])


def _halves(pair: Pair) -> tuple[Image.Image, Image.Image]:
    pixels = read_image(pair.image).pixels[:, :, :3]
    shorter = max(min(pixels.shape[:2]) * _CELL // max(pixels.shape[:2]), 1)
    size = smaller_size((pixels.shape[0], pixels.shape[1]), shorter)
    image = Image.fromarray(resize_image(np.ascontiguousarray(pixels), size))
    alpha = Image.fromarray(resize_mask(read_mask(pair.mask), size))
    return image, Image.composite(image, Image.new("RGB", image.size, _BACKGROUND), alpha)
