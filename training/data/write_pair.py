# SPDX-License-Identifier: Apache-2.0
"""Puts a pair into a prepared set: linked or copied if it can stay as it is, else converted; names and sizes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import Error
from ...image import Array, encode_image, read_image
from .files import File, read_file
from .inspect_pair import Inspected
from .masks import read_mask, resize_mask
from .pairs import Pair
from .sources import Found

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif")
_QUALITY = 95


def count_names(categories: Iterable[str]) -> list[str]:
    """A name for each image, from its category and a count from 1: "p3m_00001"."""
    counts: Counter[str] = Counter()
    names = []
    for category in categories:
        counts[category] += 1
        names.append(f"{category}_{counts[category]:05d}")
    return names


def write_pair(
    found: Found, inspected: Inspected, name: str, split: str, folder: Path, *, shorter: int | None, link: bool
) -> tuple[Pair, list[str]]:
    """Writes ``images/NAME.*`` and ``masks/NAME.png``; the mask gets the size of the image.

    An image that must be rotated or resized is written as JPEG if its file is lossy, else as PNG.

    Args:
        found: The pair.
        inspected: What is known about it.
        name: Its new name, without suffix.
        split: Its split.
        folder: The set's, with the folders ``images`` and ``masks``.
        shorter: Largest shorter side of the image, in pixels; None keeps the size.
        link: Make links rather than copies.

    Returns:
        The new pair, and what was done to it, as phrases that are counted.

    Raises:
        InputError: A file can no longer be read.
        Error: The set cannot be written.
    """
    done: list[str] = []
    size = smaller_size(inspected.size, shorter)
    if inspected.turned or size != inspected.size:
        done += ["images turned upright"] * inspected.turned + ["images resized"] * (size != inspected.size)
        image = _write_image(found, folder / "images" / name, size)
    else:
        image = folder / "images" / f"{name}{found.image.suffix.lower()}"
        done.append("images linked" if place(found.image, image, link=link) else "images copied")
    mask = folder / "masks" / f"{name}.png"
    if inspected.mask_size == size and inspected.plain:
        done.append("masks linked" if place(found.mask, mask, link=link) else "masks copied")
    else:
        pixels = read_mask(read_file(found.mask), name=str(found.mask))
        write_new(mask, encode_image(resize_mask(pixels, size), "png"))
        done.append("masks resized with their image" if size != inspected.size else "masks resized to their image")
        if inspected.mask_size == size:
            done[-1] = "masks written as 8-bit gray"
    return Pair(name, image, mask, found.category, split), done


def place(file: File, target: Path, *, link: bool) -> bool:
    """Links or copies a file to a path that is free.

    A link points to the file itself, not to a link to it. Members of a tar are always copied, as is every file if the
    file system cannot make links.

    Returns:
        Whether it is a link.

    Raises:
        InputError: The file cannot be read.
        Error: The target exists, or cannot be written.
    """
    if link and isinstance(file, Path):
        if not file.is_file():
            read_file(file)  # raises the error
        with contextlib.suppress(OSError):  # then a copy is tried, and its error has the reason
            target.symlink_to(os.path.realpath(file))
            return True
    write_new(target, read_file(file))
    return False


def write_new(target: Path, data: bytes) -> None:
    """Writes a file that must not exist yet, so never through a link. Raises `Error` if it cannot be written."""
    try:
        with target.open("xb") as stream:
            stream.write(data)
    except OSError as error:
        raise Error(f"{target} could not be written: {error.strerror or error}") from error


def smaller_size(size: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    """The (height, width) ``size``, reduced so that its shorter side is at most ``shorter`` pixels; None keeps it."""
    height, width = size
    side = min(size)
    if shorter is None or side <= shorter:
        return size
    return max(round(height * shorter / side), 1), max(round(width * shorter / side), 1)


def resize_image(pixels: Array, size: tuple[int, int]) -> Array:
    """Resizes an image with Lanczos.

    Args:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8.
        size: (height, width).

    Returns:
        (height, width, 3 or 4) uint8.
    """
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.LANCZOS))


def _write_image(found: Found, stem: Path, size: tuple[int, int]) -> Path:
    image = read_image(read_file(found.image), name=str(found.image))
    pixels = resize_image(image.pixels, size)
    lossy = found.image.suffix.lower() in _LOSSY and pixels.shape[2] == 3
    like = dataclasses.replace(image, exif=None)  # EXIF may hold where the image was taken
    data = encode_image(pixels, "jpg" if lossy else "png", like=like, quality=_QUALITY if lossy else None)
    target = stem.with_name(stem.name + (".jpg" if lossy else ".png"))
    write_new(target, data)
    return target
