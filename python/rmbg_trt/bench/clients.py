# SPDX-License-Identifier: Apache-2.0
"""Threads that ask for frames side by side, and end together: at the end, at an error, and at Ctrl-C."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def clients(count: int, body: Callable[[int], None], stop: Callable[[], None]) -> Iterator[None]:
    """Runs ``body(0)`` to ``body(count - 1)`` in threads beside the block; leaves it when all have ended.

    Args:
        count: Threads.
        body: What each does.
        stop: Makes them end soon; called when one of them, or the block, fails.

    Raises:
        BaseException: The first error of a thread, where the block had none.
    """
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            body(index)
        except BaseException as error:
            errors.append(error)
            stop()

    threads = [threading.Thread(target=guarded, args=(index,), name=f"bench-{index}") for index in range(count)]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        yield
        _join(started)
    except BaseException:
        stop()
        _join(started)
        raise
    real = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
    if errors:
        raise (real or errors)[0]


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # with a limit: Ctrl-C gets through on every system
