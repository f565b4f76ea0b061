# SPDX-License-Identifier: Apache-2.0
"""Whole programs, timed from their start to their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _timing import rest

from .children import environment
from .contenders import CONTENDERS, Contender

LIMIT_S = 3600  # a program that takes longer hangs


def by_name(name: str) -> Contender:
    return next(each for each in CONTENDERS if each.name == name)


def our_command() -> list[str]:
    """``rmbg-trt`` of the Python that runs the benchmark; from a source tree it has no script of its own."""
    script = Path(sys.executable).with_name("rmbg-trt")
    return [str(script)] if script.is_file() else [sys.executable, "-c", "from rmbg_trt.cli import main; main()"]


def timed(command: list[str], contender: Contender, variables: dict[str, str]) -> tuple[float, str, int]:
    """Runs a command of a contender in its environment.

    Returns:
        Milliseconds from start to end, the last words of what it printed, and its exit code.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: through the `except` below
    rest()
    with tempfile.TemporaryFile() as printed:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, env={**environment(contender), **variables}, stdin=subprocess.DEVNULL, stdout=printed,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(LIMIT_S)
        except BaseException:  # too long, or Ctrl-C: it, and what it started itself
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        elapsed_ms = 1e3 * (time.perf_counter() - begin)
        printed.seek(0)
        return elapsed_ms, printed.read().decode(errors="replace").strip()[-500:], code
