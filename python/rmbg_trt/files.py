# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders atomically (under a temporary name in the same folder, then renamed), and hashes files.

A crash of the program, a full disk or Ctrl-C leaves the target as it was. (A loss of power may not: files are not
synced to disk, which would take a folder job longer than its matting.) What a killed process leaves under the temporary
name is taken over by the next one with the same target.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import Error, ModelError

try:
    import fcntl
except ImportError:  # Windows: what killed processes leave stays
    fcntl = None  # type: ignore[assignment]

_WRITERS = 8  # of one file at a time whose parts are found if they are killed


@contextlib.contextmanager
def atomic_file(target: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens ``target`` for writing bytes; it appears, or is replaced, when the block ends without an exception.

    Parent folders are created. For a symbolic link, its target is replaced. Anything but a regular file (a pipe, a
    device) is written to directly.

    Raises:
        Error: The target cannot be written; the message has the system's reason.
    """
    with _real_path(target) as path:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        with _part_of(path) as part, part.open("wb") as stream:
            yield stream
            stream.close()  # before the rename: a full disk may only show here
            part.replace(path)


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields an empty hidden file beside ``target``, for writers that open it themselves; else like `atomic_file`."""
    with _real_path(target) as path, _part_of(path, path.suffix) as part:
        yield part
        part.replace(path)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a hidden folder to fill; it becomes ``target``, or replaces it, when the block ends without an exception.

    Parent folders are created. If anything fails, the old folder is restored. Links in it are not followed.

    Raises:
        Error: The folder cannot be created or put in place; the message has the system's reason.
    """
    with _real_path(target) as path, _part_of(path, folder=True) as part:
        old = part.with_suffix(".old")
        _restore(old, path)  # of a process that was killed between two renames
        try:
            yield part
            if path.exists():
                path.rename(old)
            part.rename(path)
        finally:
            _restore(old, path)


def check_writable(target: str | os.PathLike[str]) -> None:
    """Checks before long work that a file can be written, by creating an empty one and removing it.

    Raises:
        Error: It cannot be written; the message has the system's reason.
    """
    with _real_path(target) as path:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if path.exists() and not path.is_file():  # a pipe, a device
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = _part(path, secrets.token_hex(6))
        probe.touch(exist_ok=False)
        probe.unlink()


@contextlib.contextmanager
def _real_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path with links resolved. An OSError in the block becomes `Error`."""
    try:
        yield Path(os.path.realpath(target))
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error


def _restore(old: Path, path: Path) -> None:
    """Puts an old folder back to its path if nothing is there; else removes it."""
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _part(path: Path, name: str, suffix: str = "") -> Path:
    """A hidden path beside another one, for what is not complete yet."""
    return path.with_name(f".rmbg-{name}.part{suffix}")


@contextlib.contextmanager
def _part_of(path: Path, suffix: str = "", *, folder: bool = False) -> Iterator[Path]:
    """Yields a hidden file or folder beside ``path``, empty and ours alone. What is left of it at the end is removed.

    Its name follows from the path's, and a lock marks it, which ends with the process. So what killed processes left
    is known, and is taken over or removed. Parent folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    names = [_part(path, f"{digest}-{number}", suffix) for number in range(_WRITERS if fcntl is not None else 0)]
    lock = None
    while names and lock is None:
        part = names.pop(0)
        lock = _claim(part, folder)
    if lock is None:
        part = _part(path, secrets.token_hex(6), suffix)
        _create(part, folder)
    for other in itertools.takewhile(os.path.lexists, names):
        abandoned = _claim(other, folder)
        if abandoned is not None:
            _remove(other)
            os.close(abandoned)
    try:
        yield part
    finally:
        if lock is None or _is_at(part, lock):  # after a rename, the name may be another process's
            _remove(part)
        if lock is not None:
            os.close(lock)


def _claim(part: Path, folder: bool) -> int | None:
    """Creates a file or folder, or empties the one that a killed process left, and locks it.

    Returns:
        The descriptor that holds the lock; None if what is there may be in use, or may not be trusted.
    """
    try:
        _create(part, folder)
        is_new = True
    except FileExistsError:
        is_new = False
    try:
        lock = os.open(part, os.O_NOFOLLOW | (os.O_RDONLY if folder else os.O_RDWR))
    except OSError:  # another user's, a link, or gone again
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        claimed = _is_at(part, lock) and (is_new or _is_safe(os.fstat(lock)))
    except BlockingIOError:
        claimed = False
    except OSError:  # a file system without locks: nobody else claims what exists
        claimed = is_new
    if not claimed:
        os.close(lock)
        return None
    if not is_new and folder:
        for left in part.iterdir():
            _remove(left)
    elif not is_new:
        os.truncate(lock, 0)
    return lock


def _is_at(part: Path, lock: int) -> bool:
    """Whether an open file is the one at a path: it may have been renamed to its final name."""
    try:
        return os.path.samestat(part.lstat(), os.fstat(lock))
    except OSError:
        return False


def _is_safe(found: os.stat_result) -> bool:
    """Whether nobody but this user can have made a file or folder, or knows it under another name."""
    return found.st_uid == os.geteuid() and (found.st_nlink == 1 or stat.S_ISDIR(found.st_mode))


def _create(part: Path, folder: bool) -> None:
    if folder:
        part.mkdir()
    else:
        part.touch(exist_ok=False)


def _remove(path: Path) -> None:
    """Removes a file or a folder, if it is there and that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


def model_sha256(path: Path) -> str:
    """The sha256 of a model, hexadecimal; for an OpenVINO ``.xml`` it includes the ``.bin`` beside it."""
    weights = path.with_suffix(".bin")
    if path.suffix.lower() != ".xml" or not weights.is_file():
        return file_sha256(path)
    return hashlib.sha256((file_sha256(path) + file_sha256(weights)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file, hexadecimal. Raises ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
