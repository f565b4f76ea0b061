# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are whole or absent (written under a temporary name in the same folder, then renamed); hashes.

A crash of the program, a full disk or Ctrl-C leaves the target as it was. (After a loss of power that is up to the
file system: nothing is forced to the disk, which would cost a folder job more than its matting.)
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

    Folders on the way are made. A symbolic link keeps its place, and what it points to is replaced. What is not a
    regular file (a pipe, a device) is written to directly.

    Raises:
        Error: The target cannot be written; the message has the system's reason.
    """
    path = Path(os.path.realpath(target))
    part = path.with_name(f".rmbg-{secrets.token_hex(6)}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _removed_on_failure(part), part.open("xb") as stream:
            yield stream
            stream.close()  # before the rename: a full disk may only show here
            part.replace(path)
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a hidden name beside ``target``, for writers that open files themselves; else like `atomic_file`."""
    path = Path(os.path.realpath(target))
    part = path.with_name(f".rmbg-{secrets.token_hex(6)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a hidden folder beside ``target`` to fill; it appears, or replaces what is there, when the block ends well.

    Folders on the way are made. Whatever goes wrong, what was there is there again. Links in it are not followed.

    Raises:
        Error: It cannot be made or put in place; the message has the system's reason.
    """
    path = Path(os.path.realpath(target))
    part = path.with_name(f".rmbg-{secrets.token_hex(6)}.part")
    old = part.with_suffix(".old")
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for each in (part, old):
            shutil.rmtree(each, ignore_errors=True)


def check_writable(target: str | os.PathLike[str]) -> None:
    """Finds out before long work whether a file can be put there, by making an empty one and removing it.

    Raises:
        Error: It cannot; the message has the system's reason.
    """
    path = Path(os.path.realpath(target))
    probe = path.with_name(f".rmbg-{secrets.token_hex(6)}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise Error(f"{os.fspath(target)} could not be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _removed_on_failure(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def model_sha256(path: Path) -> str:
    """The sha256 of a model, hexadecimal: of its file, and of the ``.bin`` beside an OpenVINO ``.xml``."""
    weights = path.with_suffix(".bin")
    if path.suffix.lower() != ".xml" or not weights.is_file():
        return file_sha256(path)
    return hashlib.sha256((file_sha256(path) + file_sha256(weights)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file, hexadecimal. Raises ModelError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
