# SPDX-License-Identifier: Apache-2.0
"""Runs the tasks: reading, inference and writing overlap, and each worker holds at most one image in memory.

A worker takes an image through all three steps. Each step releases the GIL, and the engine makes a worker wait while
its slots are busy. So the engine is never idle while a worker has a frame for it, and no queue of images is needed.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ..background import in_profile
from ..errors import Error
from ..image import DEFAULT_MAX_PIXELS, read_image, write_image
from ..options import FrameOptions
from .plan import Task
from .record import add_to_record, origin_of

log = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon a stop takes effect
_MAX_DEFAULT_JOBS = 16
_CUTOUT = FrameOptions(output="cutout")


class EngineLike(Protocol):
    """The part of `Engine` that a job needs, with ``color="rgb"``."""

    def run(self, frame: Any, *, options: FrameOptions) -> Any:
        """As `Engine.run`; called from several threads at once."""


@dataclass(frozen=True)
class Options:
    """How each image is processed."""

    frame: FrameOptions = _CUTOUT  # backgrounds in RGB order
    quality: int | None = None  # as for `image.encode_image`
    max_pixels: int = DEFAULT_MAX_PIXELS  # larger images fail

    def frame_for(self, profile: bytes | None) -> FrameOptions:
        """The options of a frame with this color profile: the background has the colors that it has in sRGB."""
        background = in_profile(self.frame.background, profile)
        return self.frame if background is self.frame.background else self.frame.replace(background=background)


@dataclass(frozen=True)
class Outcome:
    """How a task ended."""

    task: Task
    error: str | None = None  # why it failed; None if the target is written


def default_jobs() -> int:
    """Images processed at once: one for each CPU core, one that waits for the engine and one for the disk."""
    return min(_MAX_DEFAULT_JOBS, os.cpu_count() or 1) + 2


def run_tasks(
    tasks: Iterable[Task],
    engine: EngineLike,
    options: Options | None = None,
    *,
    jobs: int | None = None,
    stop: threading.Event | None = None,
) -> Generator[Outcome, None, None]:
    """Runs tasks and yields the outcome of each, in the order in which they end. A failure does not stop the rest.

    Args:
        tasks: May be endless; read in a thread of its own, a few ahead of the work.
        engine: Runs the frames.
        options: How each image is processed.
        jobs: Images processed at once, fewer if the system refuses so many threads; None: `default_jobs`.
        stop: When set (from any thread or a signal handler), no further image is started; those in progress are
            finished and yielded. Closing the iterator, or an exception in its loop, has the same effect.

    Yields:
        An outcome for each task that was started.
    """
    stop = stop or threading.Event()
    job = _Job(engine, options or Options(), stop, jobs or default_jobs())
    threads = [threading.Thread(target=job.feed, args=(tasks,), name="rmbg-feed", daemon=True)]
    threads += [threading.Thread(target=job.work, name=f"rmbg-job-{i}", daemon=True) for i in range(job.jobs)]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads
                if len(started) < 2:  # one that feeds, one that works
                    raise
                break
            started.append(thread)
        working = len(started) - 1
        while working:
            try:
                outcome = job.outcomes.get(timeout=_POLL_S)  # without a timeout, Windows ignores Ctrl-C
            except queue.Empty:
                continue
            if outcome is None:
                working -= 1
            else:
                yield outcome
        if job.feed_error is not None:
            raise job.feed_error
    finally:
        stop.set()
        for thread in started[1:]:
            thread.join()


class _Job:
    """State that the threads of one `run_tasks` share."""

    def __init__(self, engine: EngineLike, options: Options, stop: threading.Event, jobs: int) -> None:
        self.jobs = max(1, jobs)
        self.outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()  # None: a worker has ended
        self.feed_error: BaseException | None = None
        self._engine, self._options, self._stop = engine, options, stop
        self._tasks: queue.Queue[Task] = queue.Queue(maxsize=2 * self.jobs)
        self._fed = threading.Event()
        # Images of one camera share a profile, so their background is converted once.
        self._frame_options = functools.lru_cache(maxsize=4)(options.frame_for)

    def feed(self, tasks: Iterable[Task]) -> None:
        """Queues the tasks; ends early on a stop."""
        try:
            for task in tasks:
                if not self._put(task):
                    return
        except BaseException as error:
            self.feed_error = error
        finally:
            self._fed.set()

    def work(self) -> None:
        """Runs tasks until there are no more, or a stop."""
        try:
            while (task := self._take()) is not None:
                self.outcomes.put(Outcome(task, self._do(task)))
        finally:
            self.outcomes.put(None)

    def _put(self, task: Task) -> bool:
        while not self._stop.is_set():
            try:
                self._tasks.put(task, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def _take(self) -> Task | None:
        while not self._stop.is_set():
            all_fed = self._fed.is_set()  # read before the queue: a task added in between is taken in the next turn
            try:
                return self._tasks.get(timeout=0 if all_fed else _POLL_S)
            except queue.Empty:
                if all_fed:
                    return None
        return None

    def _do(self, task: Task) -> str | None:
        """Processes one image; returns why that failed, or None."""
        try:
            origin = origin_of(task.source, task.made_with)
            image = read_image(task.source, max_pixels=self._options.max_pixels)
            pixels = self._engine.run(image.pixels, options=self._frame_options(image.icc_profile))
            write_image(task.target, pixels, format=task.format, like=image, quality=self._options.quality)
            add_to_record(task.target, origin)
        except Error as error:
            return str(error) or type(error).__name__
        except OSError as error:
            return f"{task.source} could not be read: {error.strerror or error}"
        except MemoryError:
            return "there is not enough memory for this image; try fewer --jobs"
        except Exception as error:  # a bug here or in a decoder must not cost the rest of the folder
            log.debug("%s failed", task.source, exc_info=error)
            return f"{type(error).__name__}: {error}"
        return None
