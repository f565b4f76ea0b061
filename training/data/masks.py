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

_COLOR_NOISE = 48  # what JPEG adds to gray at most
_MOST_LABELS, _LARGEST_LABEL = 40, 40


def read_mask(source: Source, *, name: str | None = None) -> Array:
    """Reads a mask of any common kind.

    * The mask is the alpha channel if that varies, else the luminance; of colors, their largest channel.
    * If there are only two values or colors, the brighter one is foreground, whatever they are.
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
        colored = np.asarray(image).any(axis=2)
        if "A" not in image.mode and not _is_gray(np.asarray(image)) and not colored.all():
            return np.where(colored, 255, 0).astype(np.uint8)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < alpha.max():
            return np.ascontiguousarray(alpha)
    values = np.asarray(image)
    if values.ndim == 2 and values.dtype != np.uint8:
        return _levels(values, name or (os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the mask"))
    mask = _two_values(np.array(image.convert("L")))
    present = np.unique(mask)
    if len(present) > 2 and not _is_gray(rgb := np.asarray(image.convert("RGB")), _COLOR_NOISE):
        mask = rgb.max(axis=2)
        mask = np.round(mask * (255 / max(int(mask.max()), 1))).astype(np.uint8)
    return mask * np.uint8(255) if mask.max() == 1 else mask


def not_a_mask(mask: Array) -> str:
    """What an (H, W) uint8 array from `read_mask` is, if it is no mask or matte; else an empty string."""
    values = np.unique(mask)
    if len(values) == 3 and values[0] == 0 and values[2] == 255 and abs(int(values[1]) - 128) <= 2:
        return f"its mask is a trimap ({values[1]} means unknown); give the alpha matte, or a mask of two values"
    if 2 < len(values) <= _MOST_LABELS and values[-1] <= _LARGEST_LABEL:
        labels = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
        return f"its mask holds the labels {labels}; expected two values, for background and subject"
    return ""


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
    if values.max() > 1:
        values = _two_values(values)
    if np.issubdtype(values.dtype, np.floating) or values.max() <= 1:
        scale = 255 if values.max() <= 1 else 1
        return np.clip(np.round(values.astype(np.float64) * scale), 0, 255).astype(np.uint8)
    return (values >> 8 if values.max() > 255 else values).astype(np.uint8)


def _two_values(values: np.ndarray) -> np.ndarray:
    """An array of two values as 0 and 255, uint8; any other as it is."""
    low, high = values.min(), values.max()
    if low == high or not ((values == low) | (values == high)).all():
        return values
    return np.where(values == high, 255, 0).astype(np.uint8)


def _is_gray(pixels: Array, tolerance: int = 0) -> bool:
    channels = pixels[..., :3].astype(np.int16)
    return bool((np.ptp(channels, axis=-1) <= tolerance).all())
