# SPDX-License-Identifier: Apache-2.0
"""Runs a long build in its own thread, reports its progress as one rising number, and cancels it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)`` of the whole build: ``done`` never falls, ``phase`` names the current phase."""

TOTAL = 1000
_Result = TypeVar("_Result")


class BuildWatch:
    """Turns a build's nested phases into one rising number, and cancels the build. Called from several threads."""

    def __init__(self, progress: Progress | None) -> None:
        self.cancelled = False
        self.failure: BaseException | None = None
        self._progress = progress
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._last = ("", -1)

    def cancel(self) -> None:
        """Makes the builder stop at its next step."""
        self.cancelled = True

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside its parent phase or (None) directly in the build."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))
            self._report(name)

    def step_complete(self, name: str, step: int) -> bool:
        """A step, counted from 0, is done. Returns whether to go on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
                self._report(name)
        return not self.cancelled

    def phase_finish(self, name: str) -> None:
        """A phase has ended or was cancelled. Another phase may have the same name."""
        with self._lock:
            self._phases.pop(name, None)

    def finish(self) -> None:
        """The plan is complete."""
        with self._lock:
            self._report("Done", TOTAL)

    def _report(self, name: str, done: int | None = None) -> None:
        if self._progress is None or self.cancelled:
            return
        if done is None:
            outermost = [key for key, phase in self._phases.items() if phase.parent not in self._phases]
            done = int(TOTAL * max(map(self._fraction, outermost), default=0.0))
        state = name, max(done, self._last[1])
        if state == self._last:
            return
        self._last = state
        try:
            self._progress(*state, TOTAL)
        except BaseException as error:  # it must not pass through TensorRT's C++; run_in_thread raises it
            self.failure = error
            self.cancelled = True

    def _fraction(self, name: str) -> float:
        phase = self._phases[name]
        inner = (self._fraction(key) for key, child in self._phases.items() if child.parent == name)
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


def run_in_thread(work: Callable[[], _Result], watch: BuildWatch) -> _Result:
    """Runs the build in a thread, which has always ended when this returns or raises."""
    results: list[_Result] = []
    errors: list[BaseException] = []
    ended = threading.Event()  # not join(): in Python 3.11 an interrupted join() marks a running thread as ended

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="rmbg-trt-build")
    try:
        thread.start()
        while not ended.wait(0.1):  # with a timeout, so that the main thread sees Ctrl-C
            pass
    except BaseException:
        watch.cancel()
        while thread.ident is not None and not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C; the build is already ending
                ended.wait()
        if thread.ident is not None:
            thread.join()
        raise
    thread.join()
    if watch.failure is not None:
        raise watch.failure
    if errors:
        raise errors[0]
    return results[0]
