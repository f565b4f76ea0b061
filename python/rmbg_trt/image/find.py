# SPDX-License-Identifier: Apache-2.0
"""Finds image files from what the user names: files, folders and glob patterns."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .read import INPUT_SUFFIXES


@dataclass(frozen=True)
class Found:
    """An image file."""

    path: Path
    root: Path | None = None  # keep the structure below: a named folder, or a pattern up to its first wildcard
    is_folder: bool = False  # whether the root is a named folder, so that results must not be put into it


def find_images(inputs: Iterable[str | os.PathLike[str]], *, leave_out: Collection[Path] = ()) -> Iterator[Found]:
    """Finds the images that ``inputs`` name, in the order of the inputs and sorted within each, without duplicates.

    Args:
        inputs: Files, folders (searched recursively; hidden files, links to folders and other suffixes are ignored)
            and glob patterns, also with ``**``. A name that exists is never read as a pattern.
        leave_out: Folders to skip.

    Raises:
        InputError: A path does not exist, a pattern has no match, or a folder has no image.
    """
    seen: set[str] = set()
    for named in inputs:
        found = list(_find(os.fspath(named), {key(folder) for folder in leave_out}))
        if not found:
            raise InputError(f"there are no images in the folder {os.fspath(named)}")
        for image in found:
            if key(image.path) not in seen:
                seen.add(key(image.path))
                yield image


def images_below(folder: Path, *, leave_out: Collection[str] = ()) -> Iterator[Path]:
    """The image files in a folder and its subfolders, sorted; ``leave_out`` holds the keys of folders to skip."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f[0] != "." and key(Path(place, f)) not in leave_out)
        for file in sorted(files):
            if file[0] != "." and Path(file).suffix.lower() in INPUT_SUFFIXES:
                yield Path(place, file)


def key(path: Path) -> str:
    """The same text for the same file, however its path is written; links are followed."""
    if path.name in ("", "..") or path.is_symlink():
        return os.path.normcase(os.path.realpath(path))
    return os.path.normcase(os.path.join(_real_folder(path.parent), path.name))  # noqa: PTH118 - a hot path


@functools.lru_cache(maxsize=256)
def _real_folder(folder: Path) -> str:
    """Resolves a folder once, not for each of its images."""
    return os.path.realpath(folder)


def _find(named: str, leave_out: Collection[str]) -> Iterator[Found]:
    path = Path(named)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{named!r} cannot be read: {error}") from error
    if is_folder:
        yield from (Found(file, path, is_folder=True) for file in images_below(path, leave_out=leave_out))
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
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    images: list[Path] = []
    for match in matches:
        if match.is_dir():
            images += [] if "**" in pattern else images_below(match, leave_out=leave_out)
        elif match.suffix.lower() in INPUT_SUFFIXES:
            images.append(match)
    if not images:
        raise InputError(f"no image matches {pattern}")
    yield from (Found(image, fixed) for image in images)
