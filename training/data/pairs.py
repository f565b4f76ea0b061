# SPDX-License-Identifier: Apache-2.0
"""Images with their masks: the table that makes a folder a prepared set, and pairs from two plain folders.

A prepared set is a folder with ``pairs.csv``: a row per pair, with the columns of ``COLUMNS``. Paths are relative to
the table, so the folder can be moved.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...files import atomic_file
from ...image.find import images_below
from .files import name_key

TABLE = "pairs.csv"
COLUMNS = ("image_name", "image_path", "mask_path", "category", "split")
SPLITS = ("train", "val", "test")

Fingerprint = dict[str, dict[str, str | int]]
"""From `fingerprint`, by split."""

log = logging.getLogger("rmbg_trt.training")


@dataclass(frozen=True)
class Pair:
    """An image and its mask."""

    name: str  # of the image, without suffix; unique in a set
    image: Path
    mask: Path  # as masks.read_mask takes it
    category: str  # the dataset, such as "p3m"
    split: str  # one of SPLITS


def create_csv(pairs: Iterable[Pair], table: Path) -> None:
    """Writes the table of a set, in the order of the pairs; the file is either complete or absent.

    Args:
        pairs: The rows.
        table: The file, usually ``pairs.csv`` in the set's folder.

    Raises:
        Error: It cannot be written.
    """
    folder = table.absolute().parent
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pair in pairs:
        paths = (_stored(path, folder) for path in (pair.image, pair.mask))
        writer.writerow((pair.name, *paths, pair.category, pair.split))
    with atomic_file(table) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))


def read_pairs(source: str | os.PathLike[str], split: str | None = None) -> list[Pair]:
    """Reads a prepared set.

    Args:
        source: The set's folder, or its table.
        split: Only the pairs of this split; None: all.

    Returns:
        At least one pair, in the order of the table. Whether the files exist is not checked.

    Raises:
        InputError: There is no such set or split, or the table is damaged; the message names the line.
    """
    table = Path(source)
    if table.is_dir():
        table = table / TABLE
        if not table.is_file():
            raise InputError(f"{source} holds no {TABLE}; make a prepared set of it: rmbg-trt prepare --help")
    folder = table.absolute().parent
    pairs: list[Pair] = []
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{table} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
            for row in reader:
                name, image, mask, category, part = (row[column] or "" for column in COLUMNS)
                if not (name and image and mask) or part not in SPLITS:
                    raise InputError(
                        f"{table}, line {reader.line_num}: expected a name, two paths and a split "
                        f"({', '.join(SPLITS)}), got {[name, image, mask, part]}"
                    )
                pairs.append(Pair(name, folder / image, folder / mask, category, part))
    except OSError as error:
        raise InputError(f"{table} could not be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise InputError(f"{table} is damaged: {error}") from error
    chosen = [pair for pair in pairs if split in (None, pair.split)]
    if not chosen:
        splits = ", ".join(sorted({pair.split for pair in pairs}))
        found = f" of the split {split!r}; it has {splits}. {split_hint(split)}" if pairs and split else ""
        raise InputError(f"{table} has no pairs{found}")
    return chosen


def split_hint(split: str) -> str:
    """How to get a split that a set lacks."""
    option = "--train-pairs" if split == "train" else f"--{split}-pairs"
    share = "" if split == "train" else f", or draw a larger share: --{split} 0.3 (of two images: --{split} 0.5)"
    return f"Make the set again with rmbg-trt prepare {option} IMAGES MASKS{share}"


def fingerprint(pairs: Iterable[Pair]) -> Fingerprint:
    """What identifies the pairs of each split: their number, their names, and the sizes of their files."""
    by_split: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_split.setdefault(pair.split, []).append(pair)
    return {
        split: {
            "count": len(members),
            "names": _digest(pair.name for pair in members),
            "files": _digest(f"{_size_bytes(file)}" for pair in members for file in (pair.image, pair.mask)),
        }
        for split, members in by_split.items()
    }


def compare_data(before: Fingerprint, now: Fingerprint) -> str:
    """How the pairs differ from those of an earlier `fingerprint`, as text; empty if they are the same."""
    changes = []
    for split in sorted(before.keys() | now.keys()):
        old, new = before.get(split, {}), now.get(split, {})
        if old.get("count") != new.get("count"):
            changes.append(f"{new.get('count', 0)} pairs in {split}, where there were {old.get('count', 0)}")
        elif old != new:
            what = "others" if old.get("names") != new.get("names") else "files of other sizes"
            changes.append(f"the {new.get('count')} pairs in {split} are {what} than before")
    return "; ".join(changes)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode(errors="surrogateescape")).hexdigest()


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # reported when it is read
        return -1


def pair_folders(images: str | os.PathLike[str], masks: str | os.PathLike[str]) -> list[Pair]:
    """Pairs the images of a folder with the masks of the same name in another; suffixes may differ.

    Args:
        images: Searched through all levels; an image's first subfolder is its category.
        masks: With the same subfolders.

    Returns:
        A pair for each image, sorted. An image without a mask gets the path of a mask that does not exist, so that the
        error is reported when the pair is read.

    Raises:
        InputError: A folder does not exist, there are no images, or none of them has a mask.
    """
    image_files, mask_files = _by_name(Path(images)), _by_name(Path(masks))
    if not image_files.keys() & mask_files.keys():
        example = f"{next(iter(image_files))!r} and {next(iter(mask_files))!r}"
        raise InputError(
            f"none of the {len(image_files)} images in {images} has a mask of its name in {masks} "
            f"({example}, for example); a.jpg goes with a.png"
        )
    unused = len(mask_files.keys() - image_files.keys())
    if unused:
        log.warning("%d masks in %s have no image in %s", unused, masks, images)
    default_category = Path(images).absolute().parent.name
    return [
        Pair(
            name=name,
            image=image,
            mask=mask_files.get(name, Path(masks) / f"{name}.png"),
            category=name.split("/")[0] if "/" in name else default_category,
            split="test",
        )
        for name, image in image_files.items()
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    """The images in a folder by their relative path without suffix."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
    found: dict[str, Path] = {}
    for path in images_below(folder):
        name = name_key(path.relative_to(folder))
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; keep one of them")
        found[name] = path
    if not found:
        raise InputError(f"there are no images in the folder {folder}")
    return found


def _stored(path: Path, folder: Path) -> str:
    """The path as the table has it: relative if it is inside the table's folder, else absolute."""
    absolute = path.absolute()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)
