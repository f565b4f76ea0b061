# SPDX-License-Identifier: Apache-2.0
"""Checks an image and its mask: whether they are fit for training, and what a prepared set must change."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...errors import InputError, UnavailableError
from ...image import Array, read_image
from ...image.metadata import read_orientation
from .files import read_file
from .masks import not_a_mask, read_mask
from .sources import Found, Rejected
from .split import perceptual_hash

ASPECT_TOLERANCE = 0.02
FOREGROUND = 128  # from this value on, a pixel of a mask counts as foreground


@dataclass(frozen=True)
class Inspected:
    """A pair that is fit for training."""

    size: tuple[int, int]  # (height, width) of the upright image
    mask_size: tuple[int, int]  # (height, width)
    hash: bytes  # of the image, from split.perceptual_hash
    turned: bool  # whether the image file has an orientation tag and is not upright
    plain: bool  # whether the mask file is an 8-bit gray PNG with the values that masks.read_mask returns


def inspect_pair(found: Found, *, min_side: int = 1, keep_empty: bool = False) -> Inspected | Rejected:
    """Decodes and checks a pair.

    Args:
        found: The pair.
        min_side: Smallest allowed side of an image, in pixels.
        keep_empty: Do not reject masks that are all background or all foreground.

    Returns:
        What is known about the pair, or why it is rejected, as every damaged file is.

    Raises:
        UnavailableError: An optional package is missing or cannot be loaded.
        MemoryError: There is not enough memory for the pair.
    """

    def reject(kind: str, reason: str) -> Rejected:
        return Rejected(str(found.image), found.category, kind, reason)

    try:
        data = read_file(found.image)
        pixels = read_image(data, name=str(found.image)).pixels
        turned = _orientation(data) != 1
        mask_data = read_file(found.mask)
        mask = read_mask(mask_data, name=str(found.mask))
        size, mask_size = pixels.shape[:2], mask.shape[:2]
        if min(size) < min_side:
            return reject("small image", f"it is {_by(size)} pixels; the shorter side must have {min_side}")
        if abs(size[0] * mask_size[1] / (size[1] * mask_size[0]) - 1) > ASPECT_TOLERANCE:
            upright = " (upright; its file is rotated)" if turned else ""
            return reject("mask of another aspect ratio", f"it is {_by(size)}{upright}, its mask {_by(mask_size)}")
        what = not_a_mask(mask)
        if what:
            return reject("not a mask", what)
        if not keep_empty and (mask.max() < FOREGROUND or mask.min() >= FOREGROUND):
            ground = "background" if mask.max() < FOREGROUND else "foreground"
            return reject(f"mask all {ground}", f"every pixel of its mask is {ground}")
        return Inspected(size, mask_size, perceptual_hash(pixels), turned, _is_plain(mask_data, mask))
    except (UnavailableError, MemoryError):  # not the pair's fault
        raise
    except ImportError as error:
        raise UnavailableError(f"a package cannot be loaded: {error}") from error
    except InputError as error:
        return reject("unreadable", str(error))
    except Exception as error:  # decoders raise anything on damaged data
        return reject("unreadable", f"it or its mask is damaged: {type(error).__name__}: {error}")


def _is_plain(data: bytes, mask: Array) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        if (image.format, image.mode, read_orientation(image)) != ("PNG", "L", 1):
            return False
        return np.array_equal(np.asarray(image), mask)  # else it has other values, such as labels


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return read_orientation(image)


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
