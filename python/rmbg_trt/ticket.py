# SPDX-License-Identifier: Apache-2.0
"""A frame in flight, returned by ``Engine.submit``, and the results of many frames in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from . import _core
from .errors import InputError

Result = TypeVar("Result")


class Ticket(Generic[Result]):
    """A submitted frame. It keeps the frame's memory alive until the frame is done."""

    def __init__(self, completion: _core.Completion | None, result: Callable[[], Result]) -> None:
        self._completion = completion  # None: nothing to wait for
        self._result = result

    @classmethod
    def done_with(cls, result: Result) -> Ticket[Result]:
        """A ticket for a result that is already known."""
        return cls(None, lambda: result)

    def done(self) -> bool:
        """Whether the result is ready; never blocks."""
        return self._completion is None or self._completion.wait(0.0)

    def result(self, timeout: float | None = None) -> Result:
        """Waits for the result.

        Args:
            timeout: Maximum wait in seconds; None waits without a limit.

        Raises:
            TimeoutError: The result is not ready yet.
            NetworkError: The network failed on this frame.
        """
        if self._completion is not None:
            if not self._completion.wait(-1.0 if timeout is None else max(0.0, timeout)):
                raise TimeoutError(f"the frame is not done after {timeout} s")
            self._completion.rethrow()
        return self._result()


def in_order(frames: Iterable[Any], submit: Callable[[Any], Ticket[Any]], in_flight: int) -> Iterator[Any]:
    """Yields results in the order of their frames, with up to ``in_flight`` frames submitted.

    An error of a frame or of the iterable itself is raised when its turn comes.

    Raises:
        InputError: ``frames`` is one frame, a path, or not iterable.
    """
    shape = tuple(getattr(frames, "shape", ()))
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InputError(f"frames is one array of shape {shape}; expected many frames: pass [frame], or use run()")
    if isinstance(frames, (str, bytes)) or not isinstance(frames, Iterable):
        raise InputError(f"frames is {type(frames).__name__}; expected a list or another iterable of frames")
    return _in_order(iter(frames), submit, in_flight)


def _in_order(source: Iterator[Any], submit: Callable[[Any], Ticket[Any]], in_flight: int) -> Iterator[Any]:
    waiting: deque[Ticket[Any] | Exception] = deque()
    more = True
    while more or waiting:
        if waiting and (not more or len(waiting) >= in_flight):
            yield _result_of(waiting.popleft())
            continue
        try:
            frame = next(source)
        except StopIteration:
            more = False
            continue
        except Exception as error:  # the frames before it come first
            waiting.append(error)
            more = False
            continue
        try:
            waiting.append(submit(frame))
        except InputError as error:
            waiting.append(error)


def _result_of(outcome: Ticket[Any] | Exception) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome.result()
