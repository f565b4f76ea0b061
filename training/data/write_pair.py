# SPDX-License-Identifier: Apache-2.0
"""Puts one pair into a prepared set: linked or copied where it may stay as it is, else written anew."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ...image import encode_image, read_image
from .files import read_file
from .inspect_pair import Inspected
from .masks import read_mask, resize_mask
from .pairs import Pair
from .rename import place, write_new
from .resize import resize_picture, smaller_size
from .sources import Found

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif")
_QUALITY = 95


def write_pair(
    found: Found, inspected: Inspected, name: str, split: str, folder: Path, *, shorter: int | None, link: bool
) -> tuple[Pair, list[str]]:
    """Writes ``images/NAME.*`` and ``masks/NAME.png``, the mask of the picture's size.

    A picture that must be turned or resized is written as JPEG where its file is of a lossy kind, else as PNG.

    Args:
        found: The pair.
        inspected: What is known about it.
        name: Its new name, without suffix.
        split: Where it goes.
        folder: The set's, with the folders ``images`` and ``masks``.
        shorter: The picture's shorter side is made this long, if it is longer; None keeps the size.
        link: Make links rather than copies.

    Returns:
        The pair as it is now, and what was done to it, in words by which it is counted.

    Raises:
        InputError: A file can no longer be read.
        Error: The set cannot be written.
    """
    done: list[str] = []
    size = smaller_size(inspected.size, shorter)
    if inspected.turned or size != inspected.size:
        done += ["pictures turned upright"] * inspected.turned + ["pictures resized"] * (size != inspected.size)
        image = _write_picture(found, folder / "images" / name, size)
    else:
        image = folder / "images" / f"{name}{found.image.suffix.lower()}"
        done.append("pictures linked" if place(found.image, image, link=link) else "pictures copied")
    mask = folder / "masks" / f"{name}.png"
    if inspected.mask_size == size and inspected.plain:
        done.append("masks linked" if place(found.mask, mask, link=link) else "masks copied")
    else:
        pixels = read_mask(read_file(found.mask), name=str(found.mask))
        write_new(mask, encode_image(resize_mask(pixels, size), "png"))
        done.append("masks resized with their picture" if size != inspected.size else "masks resized to their picture")
        if inspected.mask_size == size:
            done[-1] = "masks written as 8-bit gray"
    return Pair(name, image, mask, found.category, split), done


def _write_picture(found: Found, stem: Path, size: tuple[int, int]) -> Path:
    picture = read_image(read_file(found.image), name=str(found.image))
    pixels = resize_picture(picture.pixels, size)
    lossy = found.image.suffix.lower() in _LOSSY and pixels.shape[2] == 3
    like = dataclasses.replace(picture, exif=None)  # it may say where it was taken
    data = encode_image(pixels, "jpg" if lossy else "png", like=like, quality=_QUALITY if lossy else None)
    target = stem.with_name(stem.name + (".jpg" if lossy else ".png"))
    write_new(target, data)
    return target
