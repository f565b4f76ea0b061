# SPDX-License-Identifier: Apache-2.0
"""Finds image files from what the user names: files, folders and glob patterns."""

from __future__ import annotations

import functools
import glob
import logging
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .read import INPUT_SUFFIXES

log = logging.getLogger(__name__)


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
            searched = ", ".join(sorted(INPUT_SUFFIXES))
            raise InputError(f"there are no images in the folder {os.fspath(named)}; it was searched for {searched}")
        for image in found:
            if (place := place_of(image.path)) not in seen:
                seen.add(place)
                yield image


def images_below(folder: Path, *, leave_out: Collection[str] = ()) -> Iterator[Path]:
    """The image files in a folder and its subfolders, sorted; ``leave_out`` holds the keys of folders to skip.

    What cannot be read as a file (a folder without permission, a pipe) is skipped with a warning.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted((entry for entry in listing if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        _warn_once(f"the folder {folder} is skipped: {error.strerror or error}")
        return
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if Path(entry.name).suffix.lower() not in INPUT_SUFFIXES or entry.is_dir():
            continue
        if entry.is_file() or not Path(entry).exists():  # a broken link fails when it is read, with the reason
            yield Path(entry)
        else:
            _warn_once(f"{entry.path} is a pipe or a device, and is skipped")
    for name in folders:
        if key(folder / name) not in leave_out:
            yield from images_below(folder / name, leave_out=leave_out)


@functools.lru_cache(maxsize=256)
def _warn_once(message: str) -> None:
    """Warns once, because a watched folder is searched every second."""
    log.warning("%s", message)


def key(path: Path) -> str:
    """The same text for the same file, however its path is written; links are followed."""
    try:
        is_link = path.is_symlink()
    except OSError:  # the name is too long; opening the file will say so
        is_link = False
    return os.path.normcase(os.path.realpath(path)) if is_link else place_of(path)


def place_of(path: Path) -> str:
    """The same text for the same place in the same folder; a link is a place of its own."""
    if path.name in ("", ".."):
        return os.path.normcase(os.path.realpath(path))
    return os.path.normcase(os.path.join(_real_folder(path.parent), path.name))  # noqa: PTH118 - a hot path


def is_special(path: Path) -> bool:
    """Whether a path is a pipe, a device or a socket: it can be read once, and nothing can be written beside it."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@functools.lru_cache(maxsize=256)
def _real_folder(folder: Path) -> str:
    """Resolves a folder once, not for each of its images."""
    return os.path.realpath(folder)


def _find(named: str, leave_out: Collection[str]) -> Iterator[Found]:
    path = Path(named)
    if not named:
        raise InputError("the name of an input is empty; name a file, a folder ('.' is this one) or a pattern")
    if is_special(path):
        raise InputError(f"{named} is a pipe or a device; give it alone, and name the result with -o")
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
        elif match.suffix.lower() in INPUT_SUFFIXES and not is_special(match):
            images.append(match)
    if not images:
        raise InputError(f"no image matches {pattern}")
    yield from (Found(image, fixed) for image in images)
