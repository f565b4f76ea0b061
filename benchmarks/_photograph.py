# SPDX-License-Identifier: Apache-2.0
"""Photographs that come with scikit-image, so that everybody measures the same images and nothing is fetched."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageOps

NAMES = ("astronaut", "coffee", "cat")
BACKDROPS = ("rocket",)


def size(text: str) -> tuple[int, int]:
    """``1920x1080`` as (width, height); for argparse."""
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected WIDTHxHEIGHT, as 1920x1080")
    return int(width), int(height)


def photograph(name_or_path: str | Path, width_height: tuple[int, int]) -> Image.Image:
    """An RGB image of that size: scaled with Lanczos to cover it, and cropped to the centre."""
    if name_or_path in NAMES + BACKDROPS:
        from skimage import data

        image = Image.fromarray(getattr(data, str(name_or_path))())
    else:
        image = ImageOps.exif_transpose(Image.open(name_or_path))
    return ImageOps.fit(image.convert("RGB"), width_height, Image.Resampling.LANCZOS)
