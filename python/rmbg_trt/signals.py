# SPDX-License-Identifier: Apache-2.0
"""Signals: tell which exceptions their handlers raised, and end the command line in an orderly way."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType


def raised_by_handler(traceback: TracebackType | None) -> bool:
    """Whether an exception with this traceback comes from a signal handler, such as Celery's for its soft time limit.

    Python runs handlers in the main thread, between two steps of any code there, so their exceptions come out of calls
    that did not fail. The traceback tells: Python passes the interrupted frame to the handler, and no other function
    gets the frame of a caller together with the number of a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    while traceback is not None:
        if _is_handler(traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def let_handlers_raise(error: Exception) -> None:
    """Raises an exception again if a signal handler raised it: it is no failure of the call that it came out of."""
    if raised_by_handler(error.__traceback__):
        raise error


def _is_handler(called: FrameType) -> bool:
    code, values = called.f_code, called.f_locals
    given = [values.get(name) for name in code.co_varnames[: code.co_argcount]]  # with self, if it is a method
    for value in values.values():  # of *args
        given.extend(value if isinstance(value, tuple) else ())
    return any(
        isinstance(number, int) and number in signal.valid_signals() and _is_caller(frame, called)
        for number, frame in itertools.pairwise(given)
    )


def _is_caller(frame: object, called: FrameType) -> bool:
    """Usually the direct one; before the first step of a function, Python still passes its caller."""
    caller = called.f_back
    while caller is not None and caller is not frame:
        caller = caller.f_back
    return caller is not None


@contextlib.contextmanager
def exit_on_termination() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `SystemExit` in the block, so that unfinished files are removed. For the command line.

    Another one, at least a second later, ends the process at once. (When a terminal closes, both the shell and the
    kernel may send SIGHUP.) A signal that the caller ignores, as ``nohup`` does, stays ignored.
    """
    received: list[int] = []
    times: dict[int, float] = {}

    def terminate(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number not in times:
            times[number] = time.monotonic()
            raise SystemExit(128 + number)
        if time.monotonic() - times[number] >= 1:
            os._exit(128 + number)

    def raise_again(unraisable: sys.UnraisableHookArgs) -> None:
        # Python ignores exceptions in finalizers and in some callbacks.
        if not received or not isinstance(unraisable.exc_value, SystemExit):
            sys.__unraisablehook__(unraisable)
            return
        number = received[-1]
        times.pop(number, None)
        threading.Timer(0.05, os.kill, [os.getpid(), number]).start()

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, terminate)
            sys.unraisablehook = raise_again
    try:
        yield
    finally:
        if received:  # whatever libraries made of the exception
            raise SystemExit(128 + received[0]) from None
