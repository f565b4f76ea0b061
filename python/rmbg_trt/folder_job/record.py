# SPDX-License-Identifier: Apache-2.0
"""Remembers which image and options made each result, so that another image's result is not taken for done.

A file in the user's cache for each folder of results; a line for each result, appended when the result is written.
Without the record (another machine, an emptied cache) an existing result counts as done.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from pathlib import Path
from typing import NamedTuple

from .. import cache

log = logging.getLogger(__name__)

_KEEP = 500  # folders that are remembered


class Origin(NamedTuple):
    """What made a result.

    Attributes:
        source: The image, as a real path.
        size: Of the image, in bytes.
        changed_ns: When the image was changed last.
        made_with: The options, as `Task.made_with`.
    """

    source: str
    size: int
    changed_ns: int
    made_with: str

    def is_same_image(self, other: Origin) -> bool:
        """Whether both are one image: the same path, or the same file moved elsewhere."""
        return self.source == other.source or self[1:3] == other[1:3]


def origin_of(source: Path, made_with: str) -> Origin:
    """The origin of a result that is to be made. Raises OSError if the image is not there."""
    status = source.stat()
    return Origin(os.path.realpath(source), status.st_size, status.st_mtime_ns, made_with)


class Record:
    """What made the results in one folder."""

    def __init__(self, folder: Path) -> None:
        self._lines: dict[str, list[object]] = {}
        try:
            lines = _file(folder).read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                name, *rest = json.loads(line)
                self._lines[name] = rest
            except (ValueError, TypeError):  # half a line, of a program that was killed
                continue

    def origin(self, target: Path) -> Origin | None:
        """What made an existing result; None if that is not known, or the file has been changed since."""
        try:
            signature, source, size, changed_ns, made_with = self._lines[target.name]
            if signature != _signature(target):
                return None
            return Origin(str(source), int(str(size)), int(str(changed_ns)), str(made_with))
        except (LookupError, TypeError, ValueError, OSError):
            return None


def add_to_record(target: Path, origin: Origin) -> None:
    """Remembers what made a result. A cache that cannot be written costs nothing but this memory."""
    file = _file(target.parent)
    try:
        line = json.dumps([target.name, _signature(target), *origin]) + "\n"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            cache.prune(file.parent, file.suffix, _KEEP - 1)
        with file.open("ab", buffering=0) as stream:  # one write, so that lines of several processes stay whole
            stream.write(line.encode())
    except OSError as error:
        log.debug("what made %s cannot be remembered: %s", target, error)


def _signature(target: Path) -> list[int]:
    """Changes when the file does."""
    status = target.stat()
    return [status.st_size, status.st_mtime_ns]


@functools.lru_cache(maxsize=256)
def _file(folder: Path) -> Path:
    place = os.path.realpath(folder)
    return cache.entry_path("results", Path(place).name, place, ".jsonl")
