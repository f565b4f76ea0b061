# SPDX-License-Identifier: Apache-2.0
"""Signals: tell which exceptions their handlers raised, and end the command line in an orderly way."""

from __future__ import annotations

import itertools
import signal
import threading
from types import FrameType, TracebackType
from typing import NoReturn


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


def exit_on_termination() -> None:
    """Makes SIGTERM and SIGHUP raise `SystemExit`, so that unfinished files are removed. For the command line.

    A second signal ends the process at once. A signal that the caller ignores, as ``nohup`` does, stays ignored.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)
