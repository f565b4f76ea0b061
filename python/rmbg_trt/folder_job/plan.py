# SPDX-License-Identifier: Apache-2.0
"""Plans a job: which image becomes which file. No input is overwritten, and no two images share a file."""

from __future__ import annotations

import functools
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..image import FORMATS, Format, format_of
from ..image.find import Found, find_images, key
from .record import Origin, Record, origin_of

log = logging.getLogger(__name__)

Skip = Literal["existing", "newer", "none"]


@dataclass(frozen=True)
class Task:
    """One image to process: its file, the file of the result, and the format of that.

    ``made_with`` stands for the options that shape the result, in words; "" if they are not known. An existing result
    that was made with others is not the result of this task.
    """

    source: Path
    target: Path
    format: Format
    made_with: str = ""


@dataclass(frozen=True)
class Plan:
    """The tasks of a job."""

    tasks: list[Task]  # all targets are different, and none is an input
    skipped: int  # how many images were skipped because they are done
    folder: Path | None  # the folder of the results; None if they go to one file or beside their inputs


def plan_tasks(
    inputs: Iterable[str | os.PathLike[str]],
    target: str | os.PathLike[str] | None = None,
    *,
    format: Format | None = None,
    label: str = "cutout",
    skip: Skip = "existing",
    made_with: str = "",
) -> Plan:
    """Decides what to do, and refuses what would go wrong, before any work begins.

    Args:
        inputs: Files, folders and glob patterns, see `image.find.find_images`.
        target: A file, if the only input is a file and this ends in a suffix of `image.FORMATS`; else a folder, in
            which the structure of folders and patterns is kept. None: ``<name>_<label>.png`` beside a file, and the
            folder ``<folder>_<label>`` beside a folder.
        format: None: the one of a target file's suffix, else "png".
        label: Part of the names of results without a target.
        skip: "existing" skips images whose target exists; "newer" only if it is not older than the image; "none"
            skips nothing.
        made_with: Of every task.

    Raises:
        InputError: An input does not exist; the target would overwrite an input or is the folder that is read; two
            inputs would become the same file; the target of several inputs is one file; the suffix is unknown; or a
            target exists that another image or other options made.
    """
    named = [os.fspath(name) for name in inputs]
    if not named:
        raise InputError("there is no input; name a file, a folder or a pattern")
    file, folder = _file_or_folder(named, target)
    if file is not None:
        format = format or format_of(file)
    format = format or "png"
    leave_out = [folder] if folder is not None else []
    if folder is not None:
        _refuse_mixing(named, folder)
    found = list(find_images(named, leave_out=leave_out))
    targets = [file or target_of(image, folder, format, label) for image in found]
    tasks = [Task(image.path, path, format, made_with) for image, path in zip(found, targets, strict=True)]
    if target is None:
        tasks = _without_results(tasks)
    tasks = _all_different(tasks)
    _refuse_overwriting(tasks)
    done = [task for task in tasks if is_done(task, skip)]
    for task, reason in other_results(done, unknown=file is not None and skip == "existing"):
        raise InputError(f"{task.target} {reason}; --overwrite (skip='none') replaces it, or name another output")
    finished = set(done)
    return Plan([task for task in tasks if task not in finished], len(done), folder)


def target_of(image: Found, folder: Path | None, format: Format, label: str) -> Path:
    """The file that an image becomes: in ``folder``, or by the default rule if that is None."""
    if folder is not None:
        below = image.path.relative_to(image.root).parent if image.root is not None else Path()
        return folder / below / f"{image.path.stem}.{format}"
    if image.is_folder and image.root is not None:
        beside = Path(os.path.abspath(image.root))  # noqa: PTH100 - resolve() would follow links
        return target_of(image, beside.with_name(f"{beside.name}_{label}"), format, label)
    return image.path.with_name(f"{image.path.stem}_{label}.{format}")


def full_name(task: Task) -> Task:
    """Adds the source's suffix to the target's name: a.jpg becomes a.jpg.png instead of a.png."""
    suffix = task.source.suffix
    return replace(task, target=task.target.with_name(f"{task.target.stem}{suffix}{task.target.suffix}"))


def is_done(task: Task, skip: Skip) -> bool:
    """Whether the target exists already, by the rule ``skip`` (see `plan_tasks`)."""
    try:
        if skip == "none" or not task.target.is_file():
            return False
        return skip == "existing" or task.target.stat().st_mtime_ns >= task.source.stat().st_mtime_ns
    except OSError:
        return False


def other_results(done: list[Task], *, unknown: bool = False) -> Iterator[tuple[Task, str]]:
    """Yields the tasks whose existing target is not their result, and what it is instead.

    Args:
        done: Tasks whose targets exist.
        unknown: Whether a target of unknown origin is one of them.
    """
    records: dict[Path, Record] = {}
    for task in done:
        folder = task.target.parent
        if folder not in records:
            records[folder] = Record(folder)
        origin = records[folder].origin(task.target)
        reason = _difference(task, origin) if origin is not None else "exists already" if unknown else None
        if reason is not None:
            yield task, reason


def _difference(task: Task, origin: Origin) -> str | None:
    """Which other image or options made the existing target of a task; None if it is the result of the task."""
    try:
        wanted = origin_of(task.source, task.made_with)
    except OSError:  # the image is gone; the job says so
        return None
    if not origin.is_same_image(wanted):
        return f"was made from {origin.source}"
    if task.made_with and origin.made_with and origin.made_with != task.made_with:
        return f"was made with other options ({origin.made_with})"
    return None


def _file_or_folder(named: list[str], target: str | os.PathLike[str] | None) -> tuple[Path | None, Path | None]:
    """Returns (file, None), (None, folder), or (None, None) without a target."""
    if target is None:
        return None, None
    text, path = os.fspath(target), Path(target)
    if not text:
        raise InputError("the name of the output is empty; name a file or a folder ('.' is this one)")
    if path.is_dir() or text.endswith(("/", os.sep)):
        return None, path
    single = len(named) == 1 and Path(named[0]).is_file()
    if path.suffix.lower() in FORMATS or (path.exists() and not path.is_dir()):
        if not single:
            raise InputError(f"several images cannot become one file, {text}; name a folder")
        return path, None
    if single and path.suffix:
        format_of(path)  # raises: a.bmp is meant as a file, and cannot be written
    return None, path


def _refuse_mixing(named: list[str], folder: Path) -> None:
    for name in named:
        if Path(name).is_dir() and key(Path(name)) == key(folder):
            raise InputError(f"the results would be mixed with the images in {name}; name another folder")


def _without_results(tasks: list[Task]) -> list[Task]:
    """Drops inputs that are the results of other inputs: ``*.png`` also finds those of an earlier run."""
    results = {key(task.target) for task in tasks}
    return [task for task in tasks if key(task.source) not in results]


def _all_different(tasks: list[Task]) -> list[Task]:
    """Gives tasks with the same target the full name of their source, and refuses those that still collide."""
    renamed: set[int] = set()
    while colliding := {index for group in _by_target(tasks) for index in group} - renamed:
        renamed |= colliding
        tasks = [full_name(task) if index in colliding else task for index, task in enumerate(tasks)]
    for group in _by_target(tasks):
        first, second, *_ = (tasks[index] for index in group)
        if not _tells_case(first.target.parent) or len({key(tasks[index].target) for index in group}) < len(group):
            raise InputError(
                f"{first.source} and {second.source} would both become {first.target}; "
                "name their parent folder, so that the folders are kept, or process them one by one"
            )
    if renamed:
        log.warning("%d images differ only in their suffix, which is kept: a.jpg becomes a.jpg.png", len(renamed))
    return tasks


def _by_target(tasks: list[Task]) -> list[list[int]]:
    """The indices of tasks that share a target. a.png and A.png are one file on some systems."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, task in enumerate(tasks):
        groups[key(task.target).casefold()].append(index)
    return [group for group in groups.values() if len(group) > 1]


def target_key(target: Path) -> str:
    """The same text for targets that are one file where they lie."""
    return key(target) if _tells_case(target.parent) else key(target).casefold()


@functools.lru_cache(maxsize=256)
def _tells_case(folder: Path) -> bool:
    """Whether a folder, which need not exist, tells a.png from A.png; False if that cannot be found out."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
    for existing in (path, *path.parents):
        if existing.name.swapcase() != existing.name and existing.exists():
            try:
                return not existing.with_name(existing.name.swapcase()).samefile(existing)
            except OSError:  # there is no such name
                return True
    return False


def _refuse_overwriting(tasks: list[Task]) -> None:
    sources = {key(task.source): task.source for task in tasks}
    for task in tasks:
        if key(task.target) in sources:
            raise InputError(f"{task.target} is an input and would be overwritten; name another output")
