# SPDX-License-Identifier: Apache-2.0
"""Finds pictures: what the user names (files, folders, patterns) to files, each with its place below a root."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from . import INPUT_SUFFIXES


@dataclass(frozen=True)
class Found:
    """A picture file.

    Attributes:
        path: The file.
        root: The folder whose structure the output keeps: the folder that was named, or the part of a pattern
            before its first wildcard; None for a file that was named itself.
        is_folder: Whether the root is a folder that was named, so results must not be put into it.
    """

    path: Path
    root: Path | None = None
    is_folder: bool = False


def find_pictures(inputs: Iterable[str | os.PathLike[str]], *, leave_out: Collection[Path] = ()) -> Iterator[Found]:
    """Finds the pictures that ``inputs`` name, in the order of the inputs and sorted within each; none twice.

    Args:
        inputs: Files, folders (searched through all levels; hidden files, folder links and other suffixes are left
            out) and glob patterns, also with ``**``. A name that exists is never read as a pattern.
        leave_out: Folders that are not searched.

    Raises:
        InputError: There is nothing at a path, no match for a pattern, or no picture in a folder.
    """
    seen: set[str] = set()
    for named in inputs:
        found = list(_find(os.fspath(named), {key(folder) for folder in leave_out}))
        if not found:
            raise InputError(f"there are no pictures in the folder {os.fspath(named)}")
        for picture in found:
            if key(picture.path) not in seen:
                seen.add(key(picture.path))
                yield picture


def pictures_below(folder: Path, *, leave_out: Collection[str] = ()) -> Iterator[Path]:
    """The picture files in a folder and its subfolders, sorted; ``leave_out`` holds keys of folders to skip."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f[0] != "." and key(Path(place, f)) not in leave_out)
        for file in sorted(files):
            if file[0] != "." and Path(file).suffix.lower() in INPUT_SUFFIXES:
                yield Path(place, file)


def key(path: Path) -> str:
    """The same text for the same place, however it is written; links are followed."""
    if path.name in ("", "..") or path.is_symlink():
        return os.path.normcase(os.path.realpath(path))
    return os.path.normcase(os.path.join(_real_folder(path.parent), path.name))  # noqa: PTH118 - a hot path


@functools.lru_cache(maxsize=256)
def _real_folder(folder: Path) -> str:
    """Resolves a folder once, not once for each of its pictures."""
    return os.path.realpath(folder)


def _find(named: str, leave_out: Collection[str]) -> Iterator[Found]:
    path = Path(named)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{named!r} cannot be read: {error}") from error
    if is_folder:
        yield from (Found(file, path, is_folder=True) for file in pictures_below(path, leave_out=leave_out))
    elif exists:
        yield Found(path)
    elif glob.has_magic(named):
        yield from _match(named, leave_out)
    else:
        raise InputError(f"there is no file or folder {named}")


def _match(pattern: str, leave_out: Collection[str]) -> Iterator[Found]:
    """Matches a pattern. Folders among the matches are searched, unless ``**`` does that already."""
    fixed = Path()
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            break
        fixed /= part
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - Path.glob takes no absolute ones
    pictures: list[Path] = []
    for match in matches:
        if match.is_dir():
            pictures += [] if "**" in pattern else pictures_below(match, leave_out=leave_out)
        elif match.suffix.lower() in INPUT_SUFFIXES:
            pictures.append(match)
    if not pictures:
        raise InputError(f"no picture matches {pattern}")
    yield from (Found(picture, fixed) for picture in pictures)
