# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: some pairs of a set at one glance, so that a wrong mask is seen before days of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...image import read_image
from .masks import read_mask, resize_mask
from .pairs import Pair
from .resize import resize_picture, smaller_size

_CELL = 150  # pixels: the largest side of a picture
_LABEL, _GAP, _COLUMNS = 14, 8, 6
_PAPER, _INK, _BEHIND = (24, 24, 24), (230, 230, 230), (200, 40, 120)


def contact_sheet(pairs: Sequence[Pair], count: int = 48) -> Image.Image:
    """Draws pairs: the picture, and beside it the picture with all that the mask calls background in one colour.

    Args:
        pairs: Of a prepared set.
        count: How many to draw at most; as many from each category and split as there are, taken evenly.

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


def _choose(pairs: Sequence[Pair], count: int) -> list[Pair]:
    kinds: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        kinds.setdefault((pair.category, pair.split), []).append(pair)
    chosen: list[Pair] = []
    for place, same in enumerate(sorted(kinds.values(), key=len)):  # what small kinds leave, large ones take
        share = max((count - len(chosen)) // (len(kinds) - place), 1)
        chosen += [same[index] for index in np.linspace(0, len(same) - 1, min(share, len(same))).round().astype(int)]
    order = {pair.name: index for index, pair in enumerate(pairs)}
    return sorted(chosen, key=lambda pair: order[pair.name])


def _halves(pair: Pair) -> tuple[Image.Image, Image.Image]:
    pixels = read_image(pair.image).pixels[:, :, :3]
    shorter = max(min(pixels.shape[:2]) * _CELL // max(pixels.shape[:2]), 1)
    size = smaller_size((pixels.shape[0], pixels.shape[1]), shorter)
    picture = Image.fromarray(resize_picture(np.ascontiguousarray(pixels), size))
    alpha = Image.fromarray(resize_mask(read_mask(pair.mask), size))
    return picture, Image.composite(picture, Image.new("RGB", picture.size, _BEHIND), alpha)
