# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders atomically (under a temporary name in the same folder, then renamed), and hashes files.

A crash of the program, a full disk or Ctrl-C leaves the target as it was. (A loss of power may not: files are not
synced to disk, which would take a folder job longer than its matting.)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import Error, ModelError


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
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        try:
            with part.open("xb") as stream:
                yield stream
                stream.close()  # before the rename: a full disk may only show here
                part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a hidden path beside ``target``, for writers that open files themselves; else like `atomic_file`."""
    with _real_path(target) as path:
        part = _part(path, path.suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a hidden folder to fill; it becomes ``target``, or replaces it, when the block ends without an exception.

    Parent folders are created. If anything fails, the old folder is restored. Links in it are not followed.

    Raises:
        Error: The folder cannot be created or put in place; the message has the system's reason.
    """
    with _real_path(target) as path:
        part = _part(path)
        old = part.with_suffix(".old")
        try:
            part.mkdir(parents=True)
            yield part
            if path.exists():
                path.rename(old)
            part.rename(path)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)


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
        probe = _part(path)
        probe.touch(exist_ok=False)
        probe.unlink()


@contextlib.contextmanager
def _real_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path with links resolved. An OSError in the block becomes `Error`."""
    try:
        yield Path(os.path.realpath(target))
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error


def _part(path: Path, suffix: str = "") -> Path:
    """A hidden path beside another one, for what is not complete yet."""
    return path.with_name(f".rmbg-{secrets.token_hex(6)}.part{suffix}")


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
