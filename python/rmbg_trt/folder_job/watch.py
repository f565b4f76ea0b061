# SPDX-License-Identifier: Apache-2.0
"""Watches folders: yields a task for every image that is there or arrives, once it has stopped growing.

It polls, because that works on every file system, network shares included.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from ..image import Format
from ..image.find import Found, images_below, key
from .plan import Skip, Task, full_name, is_done, other_results, target_key, target_of

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
    made_with: str = "",
    interval_s: float = 1.0,
) -> Iterator[Task]:
    """Yields tasks until ``stop`` is set.

    An image is ready when it is not empty and two polls in a row see the same size and time of change. An image that
    changes later is yielded again, also if it failed or was skipped before.

    Args:
        folders: Searched recursively, as by `plan_tasks`.
        target: The folder of the results; None: ``<folder>_<label>`` beside each.
        stop: Ends the watch within a moment.
        format: Of the results.
        label: As for `plan_tasks`.
        skip: As for `plan_tasks`, for images that are there at the start.
        made_with: Of every task.
        interval_s: Seconds between polls.

    Raises:
        InputError: One of ``folders`` is not a folder, or is the folder of the results.
    """
    roots = [Path(folder) for folder in folders]
    into = Path(target) if target is not None else None
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; only folders can be watched")
        if into is not None and key(root) == key(into):
            raise InputError(f"the results would be mixed with the images in {root}; name another folder")
    return _tasks(_Watch(roots, into, format, label, skip, made_with), stop, interval_s)


def _tasks(watch: _Watch, stop: threading.Event, interval_s: float) -> Iterator[Task]:
    while not stop.is_set():
        yield from watch.poll()
        stop.wait(interval_s)


class _Watch:
    """The state between polls."""

    def __init__(
        self, roots: list[Path], into: Path | None, format: Format, label: str, skip: Skip, made_with: str = ""
    ) -> None:
        self._roots, self._into = roots, into
        self._format, self._label, self._skip = format, label, skip
        self._made_with = made_with
        self._seen: dict[Path, _Signature] = {}
        self._given: dict[Path, _Signature] = {}
        self._source_of: dict[str, Path] = {}  # by target: a.png must not replace the result of a.jpg

    def poll(self) -> list[Task]:
        """Polls once; returns the images that have become ready."""
        seen: dict[Path, _Signature] = {}
        tasks: list[Task] = []
        done: list[Task] = []
        leave_out = {key(self._into)} if self._into is not None else set()
        for root in self._roots:
            for path in images_below(root, leave_out=leave_out):
                signature = _signature(path)
                if signature is None:
                    continue
                seen[path] = signature
                ready = signature[0] > 0 and self._seen.get(path) == signature
                if not ready or self._given.get(path) == signature:
                    continue
                task = self._task(Found(path, root, is_folder=True))
                if task is not None:
                    (tasks if path in self._given or not is_done(task, self._skip) else done).append(task)
                self._given[path] = signature
        for task, reason in other_results(done):
            log.warning("%s %s and is kept; --overwrite (skip='none') replaces it", task.target, reason)
        self._seen = seen
        self._given = {path: signature for path, signature in self._given.items() if path in seen}
        return tasks

    def _task(self, found: Found) -> Task | None:
        target = target_of(found, self._into, self._format, self._label)
        task = Task(found.path, target, self._format, self._made_with)
        if not self._is_taken(task):
            return task
        task = full_name(task)
        if self._is_taken(task):  # only where the file system does not tell a.jpg from A.jpg, or two roots share names
            log.warning("%s is skipped: another image becomes %s; watch their parent folder", found.path, task.target)
            return None
        log.warning("%s: another image has this name; the result is %s", found.path, task.target.name)
        return task

    def _is_taken(self, task: Task) -> bool:
        """Whether the target belongs to another image; if not, it belongs to this one from now on."""
        return self._source_of.setdefault(target_key(task.target), task.source) != task.source


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.stat()
    except OSError:  # gone again
        return None
    return status.st_size, status.st_mtime_ns
