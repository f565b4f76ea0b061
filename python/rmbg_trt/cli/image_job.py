# SPDX-License-Identifier: Apache-2.0
"""The three jobs of ``rmbg-trt image``: files and folders, watched folders, and a pipe.

A job is created from the command line, where it refuses what cannot work (`InputError`). `is_done` says whether
nothing is left to do. `check` finds what no image can succeed without, before a model is loaded. `run` works with an
engine and returns the exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ..engine import Engine
from ..errors import Error, InputError
from ..files import atomic_file, check_writable
from ..folder_job import (
    Options,
    Outcome,
    Skip,
    plan_tasks,
    run_tasks,
    watch_folders,
)
from ..image import Format, check_image, encode_image, read_image
from .console import EXIT_FAILED, EXIT_OK, console, progress_bar, say

_LISTED_FAILURES = 50


class FolderJob:
    """Files, folders and patterns."""

    def __init__(
        self, inputs: list[str], target: str | None, format: Format | None, label: str, skip: Skip, made_with: str
    ) -> None:
        self._plan = plan_tasks(inputs, target, format=format, label=label, skip=skip, made_with=made_with)

    def is_done(self) -> bool:
        """Whether every image was skipped; prints so."""
        if not self._plan.tasks:
            say(f"Nothing to do: {_count(self._plan.skipped)} done already; --overwrite replaces the results.")
        return not self._plan.tasks

    def check(self, options: Options) -> None:
        """Raises `Error` if the results cannot be written, or if the only image cannot be read."""
        first = self._plan.tasks[0]
        if len(self._plan.tasks) == 1:
            check_image(first.source, max_pixels=options.max_pixels)
        if len(self._plan.tasks) == 1 or self._plan.folder is not None:
            check_writable(first.target)

    def run(self, engine: Engine, options: Options, jobs: int | None) -> int:
        """Processes the images that are left."""
        tasks = self._plan.tasks
        tally = _Tally()
        with _stopped_by_signals() as stopped:
            outcomes: Iterator[Outcome] = run_tasks(tasks, engine, options, jobs=jobs, stop=stopped.event)
            if len(tasks) > 1:
                outcomes = _with_bar(outcomes, len(tasks))
            for outcome in outcomes:
                tally.add(outcome)
        if stopped.signal:
            left = len(tasks) - tally.done - len(tally.failures)
            say(f"Interrupted: {tally.done} done, {left} left. The same command resumes.", style="yellow")
        elif len(tasks) > 1 or self._plan.skipped:
            where = f" in {self._plan.folder}" if self._plan.folder else ""
            say(f"{tally.done} done{where}, {self._plan.skipped} skipped, {len(tally.failures)} failed")
        elif tally.done:
            say(f"{tasks[0].source} -> {tasks[0].target}")
        tally.list_failures()
        return 128 + stopped.signal if stopped.signal else EXIT_FAILED if tally.failures else EXIT_OK


class WatchJob:
    """Folders that are watched until Ctrl-C."""

    def __init__(
        self, inputs: list[str], target: str | None, format: Format, label: str, skip: Skip, made_with: str
    ) -> None:
        self._inputs, self._stop = inputs, threading.Event()
        if target is not None and Path(target).exists() and not Path(target).is_dir():
            raise InputError(f"{target} is a file; the results of --watch go to a folder")
        self._tasks = watch_folders(
            inputs, target, stop=self._stop, format=format, label=label, skip=skip, made_with=made_with
        )

    def is_done(self) -> bool:
        """Never: more images may arrive."""
        return False

    def check(self, options: Options) -> None:
        """Nothing: more images may arrive, and folders may become writable."""

    def run(self, engine: Engine, options: Options, jobs: int | None) -> int:
        """Processes what is there and what arrives, until a signal. Only images that never succeed count as failed."""
        say(f"Watching {', '.join(self._inputs)}; Ctrl-C stops.")
        tally = _Tally()
        with _stopped_by_signals(self._stop):
            for outcome in run_tasks(self._tasks, engine, options, jobs=jobs, stop=self._stop):
                tally.add(outcome)
                if outcome.error is None:
                    say(f"{outcome.task.source} -> {outcome.task.target}")
                else:
                    say(f"{outcome.task.source} failed: {outcome.error}", style="red")
        say(f"Stopped: {tally.done} done, {len(tally.failures)} failed")
        return EXIT_FAILED if tally.failures else EXIT_OK


class PipeJob:
    """One image from stdin or a pipe, to stdout, or both. Nothing but the image is written to stdout."""

    def __init__(self, source: str, target: str, format: Format | None, skip: Skip) -> None:
        self._source, self._target = source, target
        self._format: Format = format or "png"
        if target == "-" and (sys.stdout is None or sys.stdout.isatty()):
            raise InputError("an image is not written to a terminal; name a file with -o, or redirect stdout")
        if source == "-" and sys.stdin is None:
            raise InputError("stdin is closed; name a file, or pipe an image into the command")
        if target != "-" and (Path(target).is_dir() or (not Path(target).suffix and format is None)):
            raise InputError(f"{target} is not a file name; an image from a pipe needs one, as -o cutout.png")
        if source != "-" and (Path(source).is_dir() or not Path(source).exists()):
            raise InputError(f"there is no file {source}")
        if target != "-" and skip != "none" and Path(target).is_file():
            raise InputError(f"{target} exists already; --overwrite replaces it")

    def is_done(self) -> bool:
        """Never: nobody knows what a pipe brings."""
        return False

    def check(self, options: Options) -> None:
        """Reads the image. Raises `Error` if that fails, or if the result cannot be written."""
        if self._target != "-":
            check_writable(self._target)
        stream = sys.stdin.buffer if self._source == "-" else None
        self._name = "stdin" if stream else self._source
        with self._enough_memory():
            self._image = read_image(stream or self._source, max_pixels=options.max_pixels, name=self._name)

    def run(self, engine: Engine, options: Options, jobs: int | None) -> int:
        """Processes the image; ``jobs`` is not used."""
        image = self._image
        with self._enough_memory():
            pixels = engine.run(image.pixels, options=options.frame_for(image.icc_profile))
            data = encode_image(pixels, self._format, like=image, quality=options.quality)
        if self._target == "-":
            _write_stdout(data)
        else:
            with atomic_file(self._target) as file:
                file.write(data)
        return EXIT_OK

    @contextlib.contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise Error(f"there is not enough memory for the image from {self._name}") from None


class _Tally:
    """Counts outcomes."""

    def __init__(self) -> None:
        self.done = 0
        self.failures: dict[Path, str] = {}

    def add(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self.done += 1
            self.failures.pop(outcome.task.source, None)
        else:
            self.failures[outcome.task.source] = outcome.error

    def list_failures(self) -> None:
        if not self.failures:
            return
        if not console.is_terminal:  # a table would cut the paths of a log file
            for path, reason in self.failures.items():
                say(f"failed: {path}: {reason}", style="red")
            return
        table = Table("Failed", "Reason", title_justify="left")
        for path, reason in list(self.failures.items())[:_LISTED_FAILURES]:
            table.add_row(Text(str(path), overflow="fold"), Text(reason, overflow="fold"))
        console.print(table)
        if len(self.failures) > _LISTED_FAILURES:
            say(f"... and {len(self.failures) - _LISTED_FAILURES} more")


class _Stopped:
    """Which signal came, if any."""

    def __init__(self, event: threading.Event) -> None:
        self.event = event
        self.signal = 0


@contextlib.contextmanager
def _stopped_by_signals(event: threading.Event | None = None) -> Iterator[_Stopped]:
    """Makes the first Ctrl-C (or SIGTERM) stop the job after the images in progress. The next one acts as usual."""
    stopped = _Stopped(event or threading.Event())
    if threading.current_thread() is not threading.main_thread():  # signals are handled only there
        yield stopped
        return

    def stop(number: int, frame: object) -> None:
        stopped.signal = number
        stopped.event.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _with_bar(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    """Shows a progress bar: how many images are done, the rate, and the name of the last one."""
    started = time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("", total=total)
        for done, outcome in enumerate(outcomes, 1):
            rate = done / max(time.monotonic() - started, 1e-3)
            bar.update(task, advance=1, description=f"{rate:5.1f}/s {_short(outcome.task.source.name)}")
            yield outcome


def _short(name: str, width: int = 24) -> str:
    return f"{name[: width - 1]}…" if len(name) > width else f"{name:{width}}"


def _count(images: int) -> str:
    return "1 image is" if images == 1 else f"{images} images are"


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # or Python flushes again at exit, and reports an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Error(f"stdout could not be written: {error.strerror or error}") from error
