# SPDX-License-Identifier: Apache-2.0
"""Runs a part of a test in a forked child."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

CHILD_S = 60.0


def in_child(work: Callable[[], object]) -> None:
    """Runs it in a forked child, where it must neither raise nor hang."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"in the child: {error!r}", flush=True)
            os._exit(7)
        os._exit(0)
    deadline = time.monotonic() + CHILD_S
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child is stuck")
