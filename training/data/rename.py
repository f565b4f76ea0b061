# SPDX-License-Identifier: Apache-2.0
"""Names of a set, a category and a count ("p3m_00001"), and files put under them as links or copies."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import Error
from .files import File, read_file


def count_names(categories: Iterable[str]) -> list[str]:
    """Names pictures by category and count.

    Args:
        categories: For each picture.

    Returns:
        For each picture a name; each category is counted from 1.
    """
    counts: Counter[str] = Counter()
    names = []
    for category in categories:
        counts[category] += 1
        names.append(f"{category}_{counts[category]:05d}")
    return names


def rename(files: Sequence[Path], folder: Path, category: str, *, link: bool = True) -> list[Path]:
    """Puts files into a folder under the names of `count_names`. The files themselves stay as they are.

    Args:
        files: To be put there, in the order in which they are counted.
        folder: Is made where it is missing.
        category: The first part of the names.
        link: Make symbolic links, not copies.

    Returns:
        The new paths.

    Raises:
        InputError: A file cannot be read.
        Error: A name is taken, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = count_names([category] * len(files))
    targets = [folder / f"{name}{file.suffix.lower()}" for name, file in zip(names, files, strict=True)]
    for file, target in zip(files, targets, strict=True):
        place(file, target, link=link)
    return targets


def place(file: File, target: Path, *, link: bool) -> bool:
    """Links or copies one file to a path that is free.

    A link leads to the file itself, not to a link to it. A member of a tar is always copied, and so is what the file
    system cannot link.

    Returns:
        Whether it is a link.

    Raises:
        InputError: The file cannot be read.
        Error: The target is taken, or cannot be written.
    """
    if link and isinstance(file, Path):
        if not file.is_file():
            read_file(file)  # says why it is none
        with contextlib.suppress(OSError):  # a copy is tried next, and its error has the reason
            target.symlink_to(os.path.realpath(file))
            return True
    write_new(target, read_file(file))
    return False


def write_new(target: Path, data: bytes) -> None:
    """Writes a file under a name that must be free, so never through a link. Raises `Error` if it cannot."""
    try:
        with target.open("xb") as stream:
            stream.write(data)
    except OSError as error:
        raise Error(f"{target} could not be written: {error.strerror or error}") from error
