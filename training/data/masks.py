# SPDX-License-Identifier: Apache-2.0
"""Reads masks and alpha mattes as datasets store them, to 8 bit: 0 is background, 255 foreground.

A mask has at most two values, and resizing adds none. A matte has more, and resizing keeps it within their range.
"""

from __future__ import annotations

import os

import numpy as np
from PIL import Image, ImageOps

from ...errors import InputError
from ...image import Array, Source, read_pil_image


def read_mask(source: Source, *, name: str | None = None) -> Array:
    """Reads a mask of any common kind.

    * The mask is the alpha channel if it is not fully opaque, else the luminance.
    * In a color palette (as in DAVIS and VOC), every index but the black one is foreground.
    * 16-bit values keep their high byte. If no value is above 1, the values are labels: 1 is foreground.

    Args:
        source: A path, the bytes of a file, or a binary stream.
        name: Its name in messages; for a path, the default is the path.

    Returns:
        (H, W) uint8, C-contiguous.

    Raises:
        InputError: It is missing, damaged or not an image.
    """
    image = read_pil_image(source, name=name)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        if "A" not in image.mode and not _is_gray(np.asarray(image)):
            return np.where(np.asarray(image).any(axis=2), 255, 0).astype(np.uint8)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < 255:
            return np.ascontiguousarray(alpha)
    values = np.asarray(image)
    if values.ndim == 2 and values.dtype != np.uint8:
        return _levels(values, name or (os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the mask"))
    mask = np.array(image.convert("L"))
    return mask * np.uint8(255) if mask.max() == 1 else mask


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Resizes a mask or matte.

    A mask of two values keeps them: each pixel takes the value that covers more of its area (the larger value if both
    cover the same). A matte is averaged over areas, or interpolated linearly when enlarged.

    Args:
        mask: (H, W) uint8.
        size: (height, width).

    Returns:
        (height, width) uint8.
    """
    height, width = size
    if mask.shape == (height, width):
        return mask
    low, high = int(mask.min()), int(mask.max())
    if low == high:
        return np.full((height, width), low, np.uint8)
    if ((mask == low) | (mask == high)).all():
        share = Image.fromarray((mask == high).astype(np.float32))
        covered = np.asarray(share.resize((width, height), Image.Resampling.BOX))
        return np.where(covered >= 0.5, high, low).astype(np.uint8)
    shrinks = height <= mask.shape[0] and width <= mask.shape[1]
    filter = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(mask).resize((width, height), filter))


def _levels(values: np.ndarray, name: str) -> Array:
    """1-bit, 16-bit, 32-bit and float gray to 8 bit."""
    if values.dtype == np.bool_:
        return np.where(values, 255, 0).astype(np.uint8)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise InputError(f"{name}: its values range from {values.min()} to {values.max()}; expected 0 to 65535")
    if np.issubdtype(values.dtype, np.floating) or values.max() <= 1:
        scale = 255 if values.max() <= 1 else 1
        return np.clip(np.round(values.astype(np.float64) * scale), 0, 255).astype(np.uint8)
    return (values >> 8 if values.max() > 255 else values).astype(np.uint8)


def _is_gray(pixels: Array) -> bool:
    return bool((pixels == pixels[..., :1]).all())
