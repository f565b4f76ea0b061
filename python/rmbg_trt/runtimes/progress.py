# SPDX-License-Identifier: Apache-2.0
"""Progress of a build: a line in the log for each stage, and a bar on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("rmbg_trt.tensorrt")

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; ``total`` is 0 while unknown."""


@contextmanager
def build_progress(what: str, *, making: str = "making the", note: str = " (once)") -> Iterator[Progress]:
    """Shows the progress of one build on standard error.

    Args:
        what: What is built, such as "plan of u2netp".
        making: The verb before it, in the log.
        note: The note after it, on the bar.

    Yields:
        The function to call, from any thread.
    """
    seen: set[str] = set()

    def log_stage(stage: str, done: int, total: int) -> None:
        if stage not in seen:
            seen.add(stage)
            log.info("%s %s: %s", making, what, stage)

    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield log_stage
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield log_stage
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{what}{note}", total=None)

        def show(stage: str, done: int, total: int) -> None:
            log_stage(stage, done, total)
            bar.update(task, description=f"{what}{note}: {stage}", completed=done, total=total or None)

        yield show
