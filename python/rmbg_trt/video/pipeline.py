# SPDX-License-Identifier: Apache-2.0
"""Three stages side by side: frames come from one thread, are matted by the engine, and go to another thread.

Between the stages stand queues of a few frames, so that memory does not grow with the clip. The first error of any
stage, or Ctrl-C, stops all three; when `run_pipeline` ends, in whatever way, its threads have ended.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

Frame = TypeVar("Frame")
Item = TypeVar("Item")

_POLL_S = 0.1  # how soon a stop is seen, and, on Windows, Ctrl-C


class TicketLike(Protocol):
    """A result to come, as `Engine.submit` gives it."""

    def result(self) -> Any:
        """Waits for it."""


class _StoppedError(Exception):
    """Another stage has failed, or Ctrl-C was pressed."""


class _Belt(Generic[Item]):
    """A bounded queue that ends, and that lets go of whoever waits when the job is stopped."""

    def __init__(self, length: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[tuple[Item] | None] = queue.Queue(max(1, length))
        self._stop = stop

    def put(self, item: Item) -> None:
        self._put((item,))

    def end(self) -> None:
        self._put(None)

    def _put(self, boxed: tuple[Item] | None) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(boxed, timeout=_POLL_S)
            except queue.Full:
                continue
        raise _StoppedError

    def __iter__(self) -> _Belt[Item]:
        return self

    def __next__(self) -> Item:
        while not self._stop.is_set():
            try:
                boxed = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if boxed is None:
                raise StopIteration
            return boxed[0]
        raise _StoppedError


def run_pipeline(
    frames: Iterable[Frame],
    submit: Callable[[Frame], TicketLike],
    write: Callable[[Frame, Any], None],
    *,
    slots: int,
    progress: Callable[[Frame], None] | None = None,
) -> None:
    """Takes all frames through the stages, in order.

    Args:
        frames: Iterated in a thread of its own.
        submit: Starts on a frame; called in this thread.
        write: Takes a frame and its result; called in a thread of its own.
        slots: Frames the engine works on at once; one more is kept ready.
        progress: Called in this thread with each frame that is matted.

    Raises:
        BaseException: The first error of any stage.
    """
    stop = threading.Event()
    errors: list[BaseException] = []
    decoded: _Belt[Frame] = _Belt(slots + 1, stop)
    matted: _Belt[tuple[Frame, Any]] = _Belt(slots + 1, stop)

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
        waiting: deque[tuple[Frame, TicketLike]] = deque()

        def pass_on() -> None:
            frame, ticket = waiting.popleft()
            matted.put((frame, ticket.result()))
            if progress is not None:
                progress(frame)

        for frame in decoded:
            waiting.append((frame, submit(frame)))
            if len(waiting) > slots:
                pass_on()
        while waiting:
            pass_on()
        matted.end()

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"rmbg-{stage.__name__}", daemon=True)
        for stage in (decode, encode)
    ]
    for thread in threads:
        thread.start()
    try:
        matte()
        threads[1].join()
    except _StoppedError:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
