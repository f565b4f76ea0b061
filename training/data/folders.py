# SPDX-License-Identifier: Apache-2.0
"""Pairs from two plain folders, for sets that nobody has prepared."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ...errors import InputError
from ...image.find import images_below
from . import Pair

log = logging.getLogger("rmbg_trt.training")


def pair_folders(images: str | os.PathLike[str], masks: str | os.PathLike[str]) -> list[Pair]:
    """Pairs the pictures of a folder with the masks of the same name (but for the suffix) in another.

    Args:
        images: Searched through all levels; a picture's first folder is its category.
        masks: With the same folders below.

    Returns:
        A pair for each picture, sorted. Where there is no mask, the pair names one that is not there, so that it is
        told when it is read.

    Raises:
        InputError: A folder is not there, there are no pictures, or none of them has a mask.
    """
    pictures, found = _by_name(Path(images)), _by_name(Path(masks))
    if not pictures.keys() & found.keys():
        some = f"{next(iter(pictures))!r} and {next(iter(found))!r}"
        raise InputError(
            f"none of the {len(pictures)} pictures in {images} has a mask of its name in {masks} "
            f"({some}, for example); a.jpg goes with a.png"
        )
    left = len(found.keys() - pictures.keys())
    if left:
        log.warning("%d masks in %s have no picture in %s", left, masks, images)
    return [
        Pair(
            name=name,
            image=picture,
            mask=found.get(name, Path(masks) / f"{name}.png"),
            category=name.split("/")[0] if "/" in name else Path(images).absolute().parent.name,
            split="test",
        )
        for name, picture in pictures.items()
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their path below it, without suffix."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}")
    found: dict[str, Path] = {}
    for path in images_below(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; which of them is meant cannot be told")
        found[name] = path
    if not found:
        raise InputError(f"there are no pictures in the folder {folder}")
    return found
