# SPDX-License-Identifier: Apache-2.0
"""Shared by all commands: the two consoles, progress bars, exit codes and the error boundary.

Results go to ``out`` (stdout), so that they can be piped; messages and progress go to ``console`` (stderr).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, NoReturn

import typer
from rich import progress as bars
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from ..errors import Error

EXIT_OK = 0
EXIT_FAILED = 1  # the job ran and failed
EXIT_USAGE = 2  # the command line itself is wrong
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

_NO_THREAD = "can't start new thread"  # Python's message; it has no class of its own

VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log, and tracebacks of errors.")]

console = Console(stderr=True)
out = Console()


def say(message: str, style: str = "") -> None:
    """Print a message on stderr, without wrapping and without markup (paths may contain brackets)."""
    console.print(Text(message, style=style), soft_wrap=True, highlight=False)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print ``message`` in red on stderr and exit with ``code``."""
    say(f"Error: {message}", style="bold red")
    raise typer.Exit(code)


@contextlib.contextmanager
def error_boundary() -> Iterator[None]:
    """Turn `rmbg_trt.Error` into a message and exit code 1, and Ctrl-C into exit code 130.

    So does a lack of memory or threads. It works as ``with error_boundary():`` and as the decorator
    ``@error_boundary()``. Any other exception is a bug and keeps its traceback; with ``--verbose`` an `Error` shows one
    as well.
    """
    try:
        yield
    except Error as error:
        logging.getLogger("rmbg_trt").debug("the command failed here", exc_info=error)
        fail(str(error) or type(error).__name__)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and str(error) != _NO_THREAD:
            raise
        logging.getLogger("rmbg_trt").debug("the command failed here", exc_info=error)
        what = "memory" if isinstance(error, MemoryError) else "threads"
        fail(
            f"the system gives no more {what}; close other programs, or use smaller inputs and fewer --jobs or --slots"
        )
    except KeyboardInterrupt:
        say("Interrupted.", style="yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def progress_bar(unit: Literal["items", "bytes"] = "items") -> bars.Progress:
    """Make a Rich progress bar on stderr, which shows nothing if stderr is not a terminal.

    Args:
        unit: ``"items"`` shows 3/12, ``"bytes"`` shows 3.1/4.6 MB and the speed.
    """
    amount: list[bars.ProgressColumn] = [bars.MofNCompleteColumn()]
    if unit == "bytes":
        amount = [bars.DownloadColumn(), bars.TransferSpeedColumn()]
    return bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        *amount,
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )


@contextlib.contextmanager
def stages_bar(stages: Sequence[str], *columns: bars.ProgressColumn) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a ``progress(stage, done, total)`` that shows a bar for each stage from its first call on.

    Args:
        stages: The names of the stages.
        columns: Columns after the bar. A total of 0 means that it is not known.
    """
    with bars.Progress(
        bars.TextColumn("{task.description:>10}", markup=False),
        bars.BarColumn(),
        *columns,
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        tasks: dict[str, bars.TaskID] = {}

        def update(stage: str, done: int, total: int) -> None:
            assert stage in stages, stage
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield update


@contextlib.contextmanager
def download_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a ``progress(bytes_done, bytes_total)`` whose bar appears with the first call: no download, no bar."""
    with contextlib.ExitStack() as stack:
        bar: bars.Progress | None = None
        task: bars.TaskID | None = None

        def progress(bytes_done: int, bytes_total: int) -> None:
            nonlocal bar, task
            if bar is None or task is None:
                bar = stack.enter_context(progress_bar("bytes"))
                task = bar.add_task(description)
            bar.update(task, completed=bytes_done, total=bytes_total)

        yield progress


def setup_logging(verbose: bool) -> None:
    """Send the log of ``rmbg_trt`` to stderr: warnings, or everything with ``--verbose``. Can be called again."""
    logger = logging.getLogger("rmbg_trt")
    for handler in [h for h in logger.handlers if isinstance(h, RichHandler)]:
        logger.removeHandler(handler)
    logger.addHandler(RichHandler(console=console, show_path=verbose, show_time=verbose, markup=False))
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
