# SPDX-License-Identifier: Apache-2.0
"""A picture with its mask, and the table of them that makes a folder a prepared set.

A prepared set is a folder with ``pairs.csv``: a line a pair, with the columns of ``COLUMNS``. Paths stand relative to
the table, so the folder can be moved.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...files import atomic_file

TABLE = "pairs.csv"
COLUMNS = ("image_name", "image_path", "mask_path", "category", "split")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Pair:
    """A picture and its mask.

    Attributes:
        name: Of the picture, without suffix; no two pairs of a set have the same.
        image: The picture's file.
        mask: The mask's file, as ``masks.read_mask`` takes it.
        category: Where it came from, such as "p3m".
        split: One of ``SPLITS``.
    """

    name: str
    image: Path
    mask: Path
    category: str
    split: str


def create_csv(pairs: Iterable[Pair], table: Path) -> None:
    """Writes the table of a set; it is whole or absent.

    Args:
        pairs: In the order in which they will stand there.
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
        At least one pair, in the order of the table. That the files are there is not checked.

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
    found = sorted({pair.split for pair in pairs})
    chosen = [pair for pair in pairs if split in (None, pair.split)]
    if not chosen:
        what = f"no pairs of the split {split!r}; it has {', '.join(found)}" if pairs else "no pairs"
        raise InputError(f"{table} has {what}")
    return chosen


def _stored(path: Path, folder: Path) -> str:
    """A path relative to the table where it lies below it, else absolute."""
    absolute = path.absolute()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)
