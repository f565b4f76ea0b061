# SPDX-License-Identifier: Apache-2.0
"""A long build in a thread of its own: its progress as one rising number, and its end when it is cancelled."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)`` of the whole build: ``done`` only rises, ``phase`` is what is being done."""

TOTAL = 1000
_Result = TypeVar("_Result")


class BuildWatch:
    """A build's nested phases as one rising number, and the way to cancel it. Called from several threads."""

    def __init__(self, progress: Progress | None) -> None:
        self.cancelled = False
        self.failure: BaseException | None = None
        self._progress = progress
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._last = ("", -1)

    def cancel(self) -> None:
        """Makes the builder end at its next step."""
        self.cancelled = True

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins within another, or (None) the build itself."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))
            self._tell(name)

    def step_complete(self, name: str, step: int) -> bool:
        """A step, counted from 0, is done. Returns whether to go on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
                self._tell(name)
        return not self.cancelled

    def phase_finish(self, name: str) -> None:
        """A phase ends, be it done or cancelled. Its name may come again."""
        with self._lock:
            self._phases.pop(name, None)

    def finish(self) -> None:
        """The plan is there."""
        with self._lock:
            self._tell("Done", TOTAL)

    def _tell(self, name: str, done: int | None = None) -> None:
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
        except BaseException as error:  # it must not fly through the vendor's C++; build_plan raises it
            self.failure = error
            self.cancelled = True

    def _fraction(self, name: str) -> float:
        phase = self._phases[name]
        inner = (self._fraction(key) for key, each in self._phases.items() if each.parent == name)
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


def run_in_thread(work: Callable[[], _Result], watch: BuildWatch) -> _Result:
    """Runs the build in a thread, which has ended when this returns or raises, whatever happens."""
    results: list[_Result] = []
    errors: list[BaseException] = []
    ended = threading.Event()  # and not join(): in Python 3.11 an interrupted join() takes a running thread for ended

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
        while not ended.wait(0.1):  # not for good: the main thread must come back to see Ctrl-C
            pass
    except BaseException:
        watch.cancel()
        while thread.ident is not None and not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):  # a second one; the build is ending already
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
