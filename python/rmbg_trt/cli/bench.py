# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt bench``: measures how fast models are on this machine, or compares two such reports."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import TaskID

from ..bench import FULL, QUICK, Bench, Settings, compare, plots, read_report, tables
from ..bench.runner import Progress
from ..bench.settings import parse_numbers, parse_sizes
from ..errors import Error, InputError
from ..files import atomic_file, check_writable
from .console import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    VerboseOption,
    error_boundary,
    fail,
    out,
    progress_bar,
    say,
    setup_logging,
)
from .options import EngineChoice, MeasuredStretchOption, Stretch, expand_options, fetch

REPORT = "report.json"  # in the folder of -o


@dataclass(frozen=True, kw_only=True)
class SettingsChoice:
    """What to measure, and how long: the options that become `Settings`."""

    quick: Annotated[bool, typer.Option("--quick", help="Two sizes, one frame in flight: half a minute.")] = False
    full: Annotated[bool, typer.Option("--full", help="Every combination, not one axis at a time.")] = False
    sizes: Annotated[
        str | None, typer.Option(metavar="LIST", help="Frames: 480p,720p,1080p,1440p,2160p or WIDTHxHEIGHT.")
    ] = None
    places: Annotated[
        str | None, typer.Option(metavar="LIST", help="Memory of the frames: pageable,pinned,device.")
    ] = None
    outputs: Annotated[str | None, typer.Option(metavar="LIST", help="alpha,cutout,composite.")] = None
    slots: Annotated[str | None, typer.Option(metavar="LIST", help="Frames in flight, as 1,2,4.")] = None
    rates: Annotated[
        list[float] | None,
        typer.Option("--rate", metavar="FPS", help="Also measure frames that arrive at this rate; can be repeated."),
    ] = None
    rate_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Duration of each --rate, in each repeat; 5 by default.")
    ] = None
    queue: Annotated[
        int | None, typer.Option(min=1, help="Frames that may wait with --rate; as many as slots by default.")
    ] = None
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="For each configuration, all repeats together; 6 by default.")
    ] = None
    frames: Annotated[int | None, typer.Option(min=1, help="Frames for each repeat, instead of --seconds.")] = None
    warmup: Annotated[int | None, typer.Option(min=0, help="Untimed frames before each repeat; 2 by default.")] = None
    repeats: Annotated[
        int | None, typer.Option(min=1, help="How often everything is measured; their spread is the noise; 3.")
    ] = None
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the frames from an image.")] = None
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the frames from a video.")] = None
    cold_start: Annotated[bool, typer.Option("--cold-start/--no-cold-start", help="Measure fresh processes.")] = True

    def settings(self, engine: dict[str, Any]) -> Settings:
        """The same as `Settings`, with the keywords of `Engine`. Raises `InputError` for what cannot be measured."""
        if self.quick and self.full:
            raise InputError("--quick and --full contradict each other; give one of them")
        given: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        given |= {"rates": tuple(self.rates or ()), "engine": engine}
        if self.sizes is not None:
            given["sizes"] = parse_sizes(self.sizes)
        if self.slots is not None:
            given["slots"] = parse_numbers("--slots", self.slots)
        for name in {"places", "outputs"} & given.keys():
            given[name] = tuple(dict.fromkeys(part.strip() for part in given[name].split(",")))
        quick, full = given.pop("quick"), given.pop("full")
        return dataclasses.replace(QUICK if quick else FULL if full else Settings(), **given)


@error_boundary()
@expand_options
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Catalogue names or files; u2net by default.", show_default=False),
    ] = None,
    *,
    scope: SettingsChoice,
    choice: EngineChoice,
    stretch: MeasuredStretchOption = Stretch.minmax,
    target: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="OUT", help="A .json file for the report, or a folder for it and plots (PNG)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    reports: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="Measure nothing; compare report B with A."),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Measure how fast models are on this machine.

    Latency by stage and end to end, over frame sizes, kinds of memory,
    outputs and frames in flight; cold start and memory in fresh processes.
    By default one axis is varied at a time, which takes a minute or two for
    each model.

    A model that cannot be run does not stop the others, and the exit code
    is 1. Ctrl-C shows (and writes) the results so far.

    For example: [bold]rmbg-trt bench u2netp --quick[/bold]

    Does it keep up with a camera? [bold]rmbg-trt bench u2netp --quick --sizes 720p --rate 30[/bold]

    Before and after: [bold]rmbg-trt bench -o a.json[/bold], later [bold]... -o b.json[/bold], then
    [bold]rmbg-trt bench --compare a.json b.json[/bold]
    """
    setup_logging(verbose)
    if reports is not None:
        if models or scope.quick or scope.full:
            fail("--compare only compares two reports; give no models and nothing to measure", EXIT_USAGE)
        if target is not None and not _is_file(target):
            fail(f"{target} is a folder; the comparison is one file: -o FILE.json", EXIT_USAGE)
        _compare(*reports, target, as_json=as_json)
        return
    engine = {**choice.keywords(), "stretch": stretch.value}
    if engine.pop("calibration") is not None:
        engine["calibration"] = str(choice.calibration)
    try:
        settings = scope.settings(engine)
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    if target is not None:  # checked before minutes of work
        if not _is_file(target):
            plots.check_packages()
        check_writable(target if _is_file(target) else target / REPORT)
    _run(models or ["u2net"], settings, target, as_json=as_json)


def _is_file(target: Path) -> bool:
    """Whether ``-o`` names the file of a report; else it names a folder."""
    return target.suffix.lower() == ".json" and not target.is_dir()


def _run(models: list[str], settings: Settings, target: Path | None, *, as_json: bool) -> None:
    for model in models:
        with contextlib.suppress(Error):  # the benchmark reports it
            fetch(model)
    benchmark = Bench(models, settings)
    interrupted = False
    failure: Exception | None = None
    try:
        with _progress() as progress:
            benchmark.run(progress)
    except KeyboardInterrupt:
        interrupted = True
        say("Interrupted; these are the results so far.", style="yellow")
    except Exception as error:  # such as out of memory: results before it are shown and kept
        failure = error
    report = benchmark.report()
    _show(report, as_json=as_json)
    if target is not None and _is_file(target):
        _write_json(report, target)
    elif target is not None:
        _write_json(report, target / REPORT)
        say(f"{target}: {len(plots.write_plots(report, target))} plots")
    if failure is not None:
        raise failure
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    failed = [run for run in benchmark.runs if run.error]
    for run in failed:
        say(f"Error: {run.model}: {run.error}", style="bold red")
    if failed:
        raise typer.Exit(EXIT_FAILED)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Yields a callback that shows a bar for each model, with the current step and the time left."""
    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def update(model: str, step: str, done: int, total: int) -> None:
            if model not in tasks:
                tasks[model] = bar.add_task(model, total=None)
            bar.update(tasks[model], description=f"{model}: {step}", completed=done, total=total or None)

        yield update


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
    for model in report["models"] if not as_json else ():
        out.print(tables.of_model(model))
    load, cores = report["machine"]["load_average"] or 0.0, report["machine"]["cores"]
    if load > cores / 2:
        say(f"Other programs were running (load {load:g} on {cores} cores): expect noise.", style="yellow")


def _compare(a: Path, b: Path, target: Path | None, *, as_json: bool) -> None:
    comparison = compare(*(read_report(path / REPORT if path.is_dir() else path) for path in (a, b)))
    rows = [{**dataclasses.asdict(row), "ratio": row.ratio, "verdict": row.verdict} for row in comparison.rows]
    content = {"rows": rows, "differences": comparison.differences}
    if as_json:
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        out.print(tables.of_comparison(comparison))
    if target is not None:
        _write_json(content, target)


def _write_json(content: dict[str, Any], path: Path) -> None:
    with atomic_file(path) as stream:
        stream.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    say(f"{path}: written")
