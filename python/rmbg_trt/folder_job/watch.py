# SPDX-License-Identifier: Apache-2.0
"""Watches folders: gives a task for every picture that is there or arrives, once it has stopped growing.

By polling, as that works on every file system, network shares included.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from ..image.find import Found, key, pictures_below
from ..image.write import Format
from .plan import Skip, Task, full_name, is_done, target_of

log = logging.getLogger(__name__)

_Signature = tuple[int, int]  # size in bytes, time of change in ns


def watch_folders(
    folders: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str] | None,
    *,
    stop: threading.Event,
    format: Format = "png",
    label: str = "cutout",
    skip: Skip = "existing",
    interval_s: float = 1.0,
) -> Iterator[Task]:
    """Gives tasks until ``stop`` is set.

    A picture is given when it looks the same (size and time of change) in two polls one after the other and is not
    empty. One that changes later is given again, also if it failed or was skipped before.

    Args:
        folders: Searched through all levels, as by `plan_tasks`.
        target: The folder of the results; None: ``<folder>_<label>`` beside each.
        stop: Ends the watch within a moment.
        format: Of the results.
        label: As for `plan_tasks`.
        skip: As for `plan_tasks`, for what is there at first sight.
        interval_s: Seconds from one poll to the next.

    Raises:
        InputError: One of ``folders`` is not a folder, or is where the results go.
    """
    roots = [Path(folder) for folder in folders]
    into = Path(target) if target is not None else None
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; only folders can be watched")
        if into is not None and key(root) == key(into):
            raise InputError(f"the results would be mixed with the pictures in {root}; name another folder")
    return _poll(_Watch(roots, into, format, label, skip), stop, interval_s)


def _poll(watch: _Watch, stop: threading.Event, interval_s: float) -> Iterator[Task]:
    while not stop.is_set():
        yield from watch.look()
        stop.wait(interval_s)


class _Watch:
    """What was seen so far."""

    def __init__(self, roots: list[Path], into: Path | None, format: Format, label: str, skip: Skip) -> None:
        self._roots, self._into = roots, into
        self._format, self._label, self._skip = format, label, skip
        self._seen: dict[Path, _Signature] = {}
        self._given: dict[Path, _Signature] = {}
        self._source_of: dict[str, Path] = {}  # by target: a.png that arrives after a.jpg must not take its place

    def look(self) -> list[Task]:
        """Looks once, and gives what has come to rest since the last time."""
        seen: dict[Path, _Signature] = {}
        tasks: list[Task] = []
        leave_out = {key(self._into)} if self._into is not None else set()
        for root in self._roots:
            for path in pictures_below(root, leave_out=leave_out):
                signature = _signature(path)
                if signature is None:
                    continue
                seen[path] = signature
                at_rest = signature[0] > 0 and self._seen.get(path) == signature
                if not at_rest or self._given.get(path) == signature:
                    continue
                task = self._task(Found(path, root, is_folder=True))
                if path in self._given or not is_done(task, self._skip):
                    tasks.append(task)
                self._given[path] = signature
        self._seen = seen
        self._given = {path: signature for path, signature in self._given.items() if path in seen}
        return tasks

    def _task(self, found: Found) -> Task:
        task = Task(found.path, target_of(found, self._into, self._format, self._label), self._format)
        if self._source_of.setdefault(key(task.target).casefold(), found.path) == found.path:
            return task
        task = full_name(task)
        log.warning("%s: another picture has this name; it becomes %s", found.path, task.target.name)
        self._source_of[key(task.target).casefold()] = found.path
        return task


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.stat()
    except OSError:  # gone again
        return None
    return status.st_size, status.st_mtime_ns
