# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the two consoles, the progress bar, the exit codes and the error boundary.

Results go to ``out`` (stdout), so that they can be piped; everything said about the work goes to ``console`` (stderr).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from ..errors import Error

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

EXIT_OK = 0
EXIT_FAILED = 1  # the job ran and failed
EXIT_USAGE = 2  # the command line itself is wrong
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log, and tracebacks of errors.")]

console = Console(stderr=True)
out = Console()


def say(message: str, style: str = "") -> None:
    """Print a plain message on stderr: never wrapped, never read as markup (paths may hold brackets)."""
    console.print(Text(message, style=style), soft_wrap=True, highlight=False)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print ``message`` in red on stderr and leave the command with ``code``."""
    say(f"Error: {message}", style="bold red")
    raise typer.Exit(code)


@contextlib.contextmanager
def error_boundary() -> Iterator[None]:
    """Turn `rmbg_trt.Error` into a message and exit code 1, and Ctrl-C into exit code 130.

    Works as ``with error_boundary():`` and, below ``@app.command()``, as the decorator ``@error_boundary()``.
    Any other exception is a bug and keeps its traceback; under ``--verbose`` an `Error` shows one as well.
    """
    try:
        yield
    except Error as error:
        logging.getLogger("rmbg_trt").debug("the command failed here", exc_info=error)
        fail(str(error) or type(error).__name__)
    except KeyboardInterrupt:
        say("Interrupted.", style="yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def progress_bar(unit: Literal["items", "bytes"] = "items") -> Progress:
    """Make a Rich progress bar on stderr: enter it, then ``add_task(description, total=n)`` and ``advance(task)``.

    Args:
        unit: what a step is: ``"items"`` shows 3/12, ``"bytes"`` shows 3.1/4.6 MB and the speed.

    Returns:
        The bar. It shows nothing where stderr is not a terminal, as it could not redraw itself there.
    """
    from rich import progress

    amount: list[progress.ProgressColumn] = [progress.MofNCompleteColumn()]
    if unit == "bytes":
        amount = [progress.DownloadColumn(), progress.TransferSpeedColumn()]
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *amount,
        progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )


@contextlib.contextmanager
def stages_bar(stages: Sequence[str], *columns: ProgressColumn) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a ``progress(stage, done, total)`` that shows a bar for each stage, from its first call on.

    Args:
        stages: Their names.
        columns: What stands behind a bar. A total of 0 means that it is not known.
    """
    from rich import progress

    with progress.Progress(
        progress.TextColumn("{task.description:>10}", markup=False),
        progress.BarColumn(),
        *columns,
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            assert stage in stages, stage
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield tell


@contextlib.contextmanager
def download_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Give a ``progress(bytes_done, bytes_total)`` whose bar appears with the first call: no download, no bar."""
    with contextlib.ExitStack() as stack:
        bar: Progress | None = None
        task: TaskID | None = None

        def progress(bytes_done: int, bytes_total: int) -> None:
            nonlocal bar, task
            if bar is None or task is None:
                bar = stack.enter_context(progress_bar("bytes"))
                task = bar.add_task(description)
            bar.update(task, completed=bytes_done, total=bytes_total)

        yield progress


def setup_logging(verbose: bool) -> None:
    """Send the log of ``rmbg_trt`` to stderr: warnings, or everything under ``--verbose``. May be called again."""
    from rich.logging import RichHandler

    logger = logging.getLogger("rmbg_trt")
    for handler in [h for h in logger.handlers if isinstance(h, RichHandler)]:
        logger.removeHandler(handler)
    logger.addHandler(RichHandler(console=console, show_path=verbose, show_time=verbose, markup=False))
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
