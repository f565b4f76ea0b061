# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt evaluate``: measures models on images with masks, in tables, plots and contact sheets."""

from __future__ import annotations

import contextlib
import enum
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from ..evaluation import MEASURES, Evaluation, Measure, ModelResult, compare, pair_folders
from ..evaluation import evaluate as evaluate_models
from ..evaluation.report import summary
from ..runtimes.request import EngineInfo
from .console import EXIT_FAILED, EXIT_USAGE, VerboseOption, error_boundary, fail, out, progress_bar, say, setup_logging
from .options import EngineChoice, JobsOption, MeasuredStretchOption, Stretch, expand_options, fetch

_SHOWN_FAILURES = 20


class _Split(enum.StrEnum):
    train = "train"
    val = "val"
    test = "test"
    all = "all"


class _Matte(enum.StrEnum):
    auto = "auto"
    always = "always"
    never = "never"


@error_boundary()
@expand_options
def evaluate(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[DATA] MODEL...",
            help="A prepared set (not with --pairs), then models: catalogue names, ONNX files, checkpoints or plans.",
            show_default=False,
        ),
    ],
    *,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="IMAGES MASKS", help="Two folders with files of the same names, in place of DATA."),
    ] = None,
    split: Annotated[_Split, typer.Option(help="Which part of DATA.")] = _Split.val,
    target: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where to write tables, plots and sheets.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier evaluation in FOLDER.")] = False,
    choice: EngineChoice,
    stretch: MeasuredStretchOption = Stretch.minmax,
    matte: Annotated[
        _Matte, typer.Option(help="SAD, MSE, Grad, Conn: auto computes them for masks of more than two values.")
    ] = _Matte.auto,
    fast: Annotated[bool, typer.Option("--fast", help="Skip weighted F, Grad and Conn, which are slow.")] = False,
    jobs: JobsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Evaluate models on images with masks.

    The models run through the same engine as in every other command. With
    several models, the others are compared with the first. A pair that cannot
    be read does not stop the rest: failures are listed at the end, and the
    exit code is 1.

    For example: [bold]rmbg-trt evaluate sets/people u2netp u2net -o results[/bold]

    A checkpoint: [bold]rmbg-trt evaluate sets/people runs/1/best.safetensors --split test[/bold]

    Without a prepared set: [bold]rmbg-trt evaluate --pairs images masks u2net[/bold]
    """
    setup_logging(verbose)
    if pairs is None and len(names) < 2:
        fail("name a prepared set and at least one model; or --pairs IMAGES MASKS and at least one model", EXIT_USAGE)
    data, models = (names[0], names[1:]) if pairs is None else (pair_folders(*pairs), names)
    for model in models:  # all, before the first is run
        fetch(model)
    with _progress() as on_progress:
        evaluation = evaluate_models(
            models,
            data,
            split=None if split is _Split.all else split.value,
            out=target,
            overwrite=overwrite,
            matte=matte.value,
            fast=fast,
            stretch=stretch.value,
            jobs=jobs,
            progress=on_progress,
            **choice.keywords(),
        )
    if as_json:
        typer.echo(json.dumps(summary(evaluation), indent=2, ensure_ascii=False))
    else:
        _show(evaluation)
    if target is not None:
        say(f"{target}: tables, plots and contact sheets")
    if evaluation.failures:
        _show_failures(evaluation)
        raise typer.Exit(EXIT_FAILED)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[EngineInfo, int, int], None]]:
    """Prints what each model runs on, and shows a progress bar while it runs."""
    with progress_bar() as bar:
        task = bar.add_task("opening the model", total=None)

        def on_progress(info: EngineInfo, done: int, total: int) -> None:
            if done == 0:
                say(str(info))
                bar.reset(task, description=Path(info.model).name, total=total)
            bar.update(task, completed=done)

        yield on_progress


def _show(evaluation: Evaluation) -> None:
    first, *others = evaluation.models
    differences = [compare(first, model) for model in others]
    all_means = [model.means() for model in evaluation.models]
    out.print(Text(evaluation.data), soft_wrap=True)
    table = Table()
    table.add_column("")
    for model in evaluation.models:
        table.add_column(Text(model.label), justify="right")
    for model in others:
        table.add_column(Text(f"{model.label} - {first.label}"), justify="right")
    table.add_row("images", *(str(len(model.images)) for model in evaluation.models), *("" for _ in others))
    for measure in MEASURES:
        if any(measure.key in means for means in all_means):
            figures = [f"{means[measure.key]:.4f}" if measure.key in means else "" for means in all_means]
            changes = [_change(change.means.get(measure.key) if change else None, measure) for change in differences]
            table.add_row(f"{measure.title} {measure.arrow}", *figures, *changes)
    out.print(table)
    for change in filter(None, differences):
        low, high = change.iou_interval
        note = "" if low > 0 or high < 0 else ": too close to call on this set"
        out.print(Text(f"mIoU, {change.other} - {change.base}: {low:+.4f} to {high:+.4f} (95 %){note}"), soft_wrap=True)
    for model in evaluation.models:
        _show_categories(model)
        _show_notes(model)


def _change(value: float | None, measure: Measure) -> Text:
    if value is None:
        return Text()
    if abs(value) < 5e-5:
        return Text("0.0000")
    return Text(f"{value:+.4f}", style="green" if (value > 0) == measure.higher_is_better else "red")


def _show_categories(model: ModelResult) -> None:
    """A row per category, if there are several; the measures of mattes have a table of their own."""
    if len(model.categories) < 2:
        return
    means = {name: model.means(name) for name in model.categories}
    for of_matte in (False, True):
        shown = [m for m in MEASURES if m.of_matte == of_matte and any(m.key in values for values in means.values())]
        if not shown:
            continue
        table = Table(title=Text(model.label), box=SIMPLE, padding=0, collapse_padding=True)
        table.add_column("category", overflow="fold")
        table.add_column(" mattes" if of_matte else " images", justify="right", no_wrap=True)
        for measure in shown:
            table.add_column(f"{measure.title} {measure.arrow}", justify="right", min_width=7)
        for name, values in means.items():
            count = model.counts(name)["mattes" if of_matte else "images"]
            cells = (f"{values[measure.key]:.4f}" if measure.key in values else "" for measure in shown)
            table.add_row(Text(name), str(count), *cells)
        out.print(table)


def _show_notes(model: ModelResult) -> None:
    """Notes on which images the means cover."""
    counts = model.counts()
    if counts["empty_truths"]:
        say(f"{model.label}: {counts['empty_truths']} masks are empty; their maxF and weighted F count as 0")
    if 0 < counts["mattes"] < counts["images"]:
        say(f"{model.label}: SAD, MSE, Grad and Conn cover only the {counts['mattes']} images whose truth is a matte")


def _show_failures(evaluation: Evaluation) -> None:
    failures = evaluation.failures
    pairs = {failure.pair.name for failure in failures}
    say(f"{len(pairs)} pair{'s' * (len(pairs) != 1)} could not be evaluated:", style="bold red")
    for failure in failures[:_SHOWN_FAILURES]:
        say(f"  {failure.pair.name}: {failure.reason}", style="red")
    if len(failures) > _SHOWN_FAILURES:
        say(f"  and {len(failures) - _SHOWN_FAILURES} more; --json or -o lists all", style="red")
