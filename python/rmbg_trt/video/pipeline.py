# SPDX-License-Identifier: Apache-2.0
"""Runs three stages side by side: one thread decodes frames, the engine mattes them, another thread encodes them.

Queues of a few frames connect the stages, so that memory does not grow with the clip. The first error of any stage, or
Ctrl-C, stops all three. When `run_pipeline` returns or raises, its threads have ended.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

Frame = TypeVar("Frame")
Item = TypeVar("Item")

_POLL_S = 0.1  # time to notice a stop and, on Windows, Ctrl-C


class TicketLike(Protocol):
    """A future result, as `Engine.submit` returns it."""

    def result(self) -> Any:
        """Waits for the result."""


class _StoppedError(Exception):
    """Another stage has failed, or Ctrl-C was pressed."""


class _StageQueue(Generic[Item]):
    """A bounded queue with an end. `put` and iteration raise `_StoppedError` once ``stop`` is set."""

    _END: Any = object()

    def __init__(self, length: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[Item] = queue.Queue(length)
        self._stop = stop

    def put(self, item: Item) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=_POLL_S)
        raise _StoppedError

    def end(self) -> None:
        self.put(self._END)

    def __iter__(self) -> _StageQueue[Item]:
        return self

    def __next__(self) -> Item:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                item = self._queue.get(timeout=_POLL_S)
                if item is self._END:
                    raise StopIteration
                return item
        raise _StoppedError


def run_pipeline(
    frames: Iterable[Frame],
    submit: Callable[[Frame], TicketLike],
    write: Callable[[Frame, Any], None],
    *,
    slots: int,
    progress: Callable[[Frame], None] | None = None,
) -> None:
    """Runs all frames through the stages, in order.

    Args:
        frames: Iterated in a thread of its own.
        submit: Starts matting a frame; called in this thread.
        write: Takes a frame and its result; called in a thread of its own.
        slots: Frames the engine works on at once; one more is kept ready.
        progress: Called in this thread with each matted frame.

    Raises:
        BaseException: The first error of any stage.
    """
    stop = threading.Event()
    errors: list[BaseException] = []
    decoded: _StageQueue[Frame] = _StageQueue(slots + 1, stop)
    matted: _StageQueue[tuple[Frame, Any]] = _StageQueue(slots + 1, stop)

    def decode() -> None:
        for frame in frames:
            decoded.put(frame)
        decoded.end()

    def encode() -> None:
        for frame, result in matted:
            write(frame, result)

    def guarded(stage: Callable[[], None]) -> None:
        try:
            stage()
        except _StoppedError:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    def matte() -> None:
        in_flight: deque[tuple[Frame, TicketLike]] = deque()

        def finish_oldest() -> None:
            frame, ticket = in_flight.popleft()
            matted.put((frame, ticket.result()))
            if progress is not None:
                progress(frame)

        for frame in decoded:
            in_flight.append((frame, submit(frame)))
            if len(in_flight) > slots:
                finish_oldest()
        while in_flight:
            finish_oldest()
        matted.end()

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"rmbg-{stage.__name__}", daemon=True)
        for stage in (decode, encode)
    ]
    try:
        for thread in threads:
            thread.start()
        matte()
        threads[1].join()
    except _StoppedError:
        pass
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:  # it could be started
                thread.join()
    if errors:
        raise errors[0]
