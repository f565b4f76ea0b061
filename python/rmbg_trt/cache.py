# SPDX-License-Identifier: Apache-2.0
"""The user's cache: files that can be rebuilt, named after everything they depend on; old ones are removed."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from .errors import Error
from .files import atomic_file

log = logging.getLogger("rmbg_trt")

Value = TypeVar("Value")

BUILDING = ".building-"  # prefix of the temporary folders in which entries are built
_ABANDONED_SECONDS = 24 * 3600


def cache_dir() -> Path:
    """The folder for everything that can be fetched or built again: ``$RMBG_TRT_HOME``, else the user's cache."""
    home = os.environ.get("RMBG_TRT_HOME")
    if home:
        return Path(home).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("rmbg-trt", appauthor=False))


def entry_path(kind: str, stem: str, parts: object, suffix: str) -> Path:
    """The path of a cache entry. It is named after everything it depends on, so it is never out of date.

    Args:
        kind: Folder below ``cache_dir()``.
        stem: Readable beginning of the name.
        parts: Everything the entry depends on, as JSON.
        suffix: Suffix of the name, such as ".onnx".
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return cache_dir() / kind / f"{stem[:60]}-{digest}{suffix}"


def read_entry(file: Path, parse: Callable[[bytes], Value]) -> Value | None:
    """Reads an entry and marks it as used. Returns None if there is none, or, with a warning, if it is damaged.

    Args:
        file: The entry.
        parse: Turns the content into a value; raises ValueError, TypeError, LookupError or OSError if it is damaged.
    """
    try:
        content = file.read_bytes()
    except OSError:
        return None
    try:
        value = parse(content)
    except (ValueError, TypeError, LookupError, OSError) as error:
        warn_damaged(file, error)
        return None
    touch(file)
    return value


def write_entry(file: Path, content: bytes, keep: int) -> None:
    """Writes an entry and prunes its folder. A cache that cannot be written only costs a warning."""
    try:
        with atomic_file(file) as stream:
            stream.write(content)
    except Error as error:
        log.warning("a cache entry cannot be kept, so each start computes it again: %s", error)
    prune(file.parent, file.suffix, keep)


def warn_damaged(path: Path, reason: object) -> None:
    """Logs that an entry is damaged."""
    log.warning("the cache entry %s cannot be used and is made again: %s", path, reason)


@contextlib.contextmanager
def build_folder(entry: Path, keep: int) -> Iterator[Path]:
    """Gives a temporary folder in which to build an entry that is then moved into place. Prunes afterwards.

    Raises:
        Error: The cache cannot be written.
    """
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=entry.parent, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        raise Error(f"the cache {entry.parent} cannot be written: {error.strerror or error}") from error
    prune(entry.parent, entry.suffix, keep)


def remove_files(*files: Path) -> None:
    """Removes the files of a damaged entry. Raises Error if one cannot be removed."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise Error(f"{file} cannot be removed: {error.strerror or error}") from error


def touch(path: Path) -> None:
    """Marks a file as used now, because not every file system does that on reading."""
    with contextlib.suppress(OSError):  # a read-only cache
        os.utime(path)


def prune(folder: Path, suffix: str, keep: int) -> None:
    """Removes all but the most recently used entries, and what crashed programs left. Raises nothing.

    Args:
        folder: The folder; it need not exist.
        suffix: Suffix of the files or folders to count, such as ".plan". Files that belong to one ("x.plan.json") are
            removed with it.
        keep: The number of entries to keep.
    """
    with contextlib.suppress(OSError):
        files = sorted(folder.glob(f"*{suffix}"), key=_last_use, reverse=True)
        for old in files[keep:]:
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
                continue
            for file in (old, *folder.glob(f"{glob.escape(old.name)}.*")):
                with contextlib.suppress(OSError):  # in use, or another process was faster
                    file.unlink()
        for left in folder.glob(f"{BUILDING}*"):
            if time.time() - _last_use(left) > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _last_use(path: Path) -> float:
    try:
        stat = path.stat()
    except OSError:
        return 0.0
    return max(stat.st_atime, stat.st_mtime)
