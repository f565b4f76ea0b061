# SPDX-License-Identifier: Apache-2.0
"""The files of a dataset: on disk, or members of a tar shard that is never unpacked.

Listings are sorted, so that a dataset is read the same way on every machine.
"""

from __future__ import annotations

import os
import tarfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeAlias

from ...errors import InputError
from ...image import INPUT_SUFFIXES


@dataclass(frozen=True)
class Member:
    """A file inside an uncompressed tar."""

    shard: Path
    name: str  # as the tar has it
    offset: int  # of its first byte in the tar
    size: int  # in bytes

    def __str__(self) -> str:
        return f"{self.shard}:{self.name}"

    @property
    def suffix(self) -> str:
        """Like that of a path: ".webp"."""
        return PurePosixPath(self.name).suffix


File: TypeAlias = Path | Member


def read_file(file: File) -> bytes:
    """All bytes of a file. Raises `InputError` if it cannot be read."""
    try:
        if isinstance(file, Path):
            return file.read_bytes()
        with file.shard.open("rb") as stream:
            stream.seek(file.offset)
            data = stream.read(file.size)
    except OSError as error:
        raise InputError(f"{file} could not be read: {error.strerror or error}") from error
    if len(data) != file.size:
        raise InputError(f"{file} is truncated: {len(data)} of {file.size} bytes")
    return data


def name_key(path: PurePath) -> str:
    """The name by which an image and its mask are matched: the path without suffix, in Unicode's composed form.

    Archives made on a Mac decompose accents, so that names look the same and are not.
    """
    return unicodedata.normalize("NFC", path.with_suffix("").as_posix())


def list_images(folder: Path) -> dict[str, list[File]]:
    """The images in a folder and its subfolders, by their relative path without suffix ("a/b" for "a/b.jpg").

    Hidden files are ignored (archives made on a Mac are full of "._x.jpg", which are not images).

    Raises:
        InputError: There is no such folder, or it cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} could not be listed: {error.strerror or error}") from error

    found: dict[str, list[File]] = {}
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if path.suffix.lower() in INPUT_SUFFIXES and not name.startswith("."):
                found.setdefault(name_key(path.relative_to(folder)), []).append(path)
    return found


def list_shard(shard: Path, folder: str) -> dict[str, list[File]]:
    """The images in a folder of an uncompressed tar, as `list_images` returns them.

    Raises:
        InputError: It is not such a tar, or it is damaged.
    """
    found: dict[str, list[File]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                parts = [part for part in path.parts if part != "."]
                hidden = path.name.startswith(".")
                if member.isreg() and parts[0] == folder and path.suffix.lower() in INPUT_SUFFIXES and not hidden:
                    key = name_key(PurePosixPath(*parts[1:]))
                    found.setdefault(key, []).append(Member(shard, member.name, member.offset_data, member.size))
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(f"{shard} is not an uncompressed tar, or is damaged: {error}") from error
    return dict(sorted(found.items()))
