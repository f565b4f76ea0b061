# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt bench``: how fast models are on this machine, in tables, JSON and plots; and two runs side by side."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Error, InputError
from .console import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    error_boundary,
    fail,
    out,
    progress_bar,
    say,
    setup_logging,
)
from .engine_options import (
    CalibrationOption,
    DeviceOption,
    Filter,
    FilterOption,
    PrecisionOption,
    RuntimeOption,
    Stretch,
    check_calibration,
    fetch,
    sides,
)

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ..bench import Settings
    from ..bench.runner import Progress


@error_boundary()
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Catalogue names or files; u2net by default.", show_default=False),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two sizes, one frame in flight: half a minute.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every combination, not one axis after the other.")] = False,
    sizes: Annotated[
        str | None, typer.Option(metavar="LIST", help="Frames: 480p,720p,1080p,1440p,2160p or WIDTHxHEIGHT.")
    ] = None,
    places: Annotated[
        str | None, typer.Option(metavar="LIST", help="Where frames lie: pageable,pinned,device.")
    ] = None,
    outputs: Annotated[str | None, typer.Option(metavar="LIST", help="alpha,cutout,composite.")] = None,
    slots: Annotated[str | None, typer.Option(metavar="LIST", help="Frames in flight, as 1,2,4.")] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(metavar="FPS", help="Frames arrive on schedule, too, with this rate; may be given several times."),
    ] = None,
    rate_seconds: Annotated[
        float | None, typer.Option("--rate-seconds", metavar="S", help="How long they arrive, each turn; 5.")
    ] = None,
    queue: Annotated[
        int | None, typer.Option(min=1, help="Frames that may wait with --rate; as many as slots.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="For each configuration, all turns together; 6.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames a turn, in place of --seconds.")] = None,
    warmup: Annotated[int | None, typer.Option(min=0, help="Frames before each turn that do not count; 2.")] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Turns over everything; their spread is the noise; 3.")
    ] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the frames from a picture.")] = None,
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the frames from a clip.")] = None,
    no_cold_start: Annotated[bool, typer.Option("--no-cold-start", help="Start no fresh processes.")] = False,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    calibration: CalibrationOption = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Network input; the model's own by default.")
    ] = None,
    resampling: FilterOption = Filter.lanczos,
    stretch: Annotated[Stretch, typer.Option(help="minmax stretches each alpha, none leaves it.")] = Stretch.minmax,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything that was measured.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write plots (PNG).")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A.json B.json", help="Measure nothing; compare B with A.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")] = False,
) -> None:
    """Measure how fast models are on this machine.

    Latency by stage and end to end, over frame sizes, places of the frames,
    outputs and frames in flight; cold start and memory in fresh processes.
    By default one axis is varied at a time, a minute or two for a model.

    A model that cannot be run does not stop the others, and the exit code
    is 1. Ctrl-C shows (and writes) what there is by then.

    For example: [bold]rmbg-trt bench u2netp --quick[/bold]

    Does it keep up with a camera? [bold]rmbg-trt bench u2netp --quick --sizes 720p --rate 30[/bold]

    Before and after: [bold]rmbg-trt bench --json a.json[/bold], later [bold]... --json b.json[/bold], then
    [bold]rmbg-trt bench --compare a.json b.json[/bold]
    """
    setup_logging(verbose)
    if compare is not None:
        if models or quick or full or plots:
            fail("--compare takes two reports, and nothing is measured; leave the rest away", EXIT_USAGE)
        _compare(*compare, json_file)
        return
    if quick and full:
        fail("--quick and --full contradict each other; give one of them", EXIT_USAGE)
    given = {
        "rates": tuple(rate) if rate else None,
        "rate_seconds": rate_seconds,
        "queue": queue,
        "seconds": seconds,
        "frames": frames,
        "warmup": warmup,
        "repeats": repeats,
        "image": image,
        "video": video,
        "cold_start": False if no_cold_start else None,
    }
    lists = {"sizes": sizes, "places": places, "outputs": outputs, "slots": slots}
    check_calibration(calibration, precision)
    engine = {"device": device, "runtime": runtime, "precision": precision}
    engine |= {"filter": resampling.value, "stretch": stretch.value}
    if calibration is not None:
        engine["calibration"] = str(calibration)
    try:
        settings = _settings(quick, full, lists, {**given, "engine": {**engine, "size": sides(size)}})
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    _check_targets(json_file, plots)
    _run(models or ["u2net"], settings, json_file, plots)


def _settings(quick: bool, full: bool, lists: dict[str, str | None], given: dict[str, Any]) -> Settings:
    from ..bench import FULL, QUICK, Settings
    from ..bench.settings import parse_numbers, parse_sizes

    found = {name: value for name, value in given.items() if value is not None}
    for name, text in lists.items():
        if text is None:
            continue
        if name == "sizes":
            found[name] = parse_sizes(text)
        elif name == "slots":
            found[name] = parse_numbers("--slots", text)
        else:
            found[name] = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    return dataclasses.replace(QUICK if quick else FULL if full else Settings(), **found)


def _check_targets(json_file: Path | None, plots: Path | None) -> None:
    """Before minutes of work."""
    from ..files import check_writable

    if json_file is not None:
        check_writable(json_file)
    if plots is not None:
        from ..bench.plots import check_packages

        check_packages()
        check_writable(plots / "plot.png")


def _run(models: list[str], settings: Settings, json_file: Path | None, plots: Path | None) -> None:
    from ..bench import Bench

    for model in models:
        with contextlib.suppress(Error):  # the bench will say it, in its turn
            fetch(model)
    work = Bench(models, settings)
    interrupted = False
    failure: Exception | None = None
    try:
        with _progress() as tell:
            work.run(tell)
    except KeyboardInterrupt:
        interrupted = True
        say("Interrupted; this is what there is.", style="yellow")
    except Exception as error:  # out of memory, say: what was measured before is shown and kept
        failure = error
    report = work.report()
    _show(report)
    if json_file is not None:
        _write_json(report, json_file)
    if plots is not None:
        from ..bench.plots import write_plots

        say(f"{plots}: {len(write_plots(report, plots))} plots")
    if failure is not None:
        raise failure
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    failed = [run for run in work.runs if run.error]
    for run in failed:
        say(f"Error: {run.model}: {run.error}", style="bold red")
    if failed:
        raise typer.Exit(EXIT_FAILED)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Says what each model runs on, and shows a bar with the time that is left."""
    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def tell(model: str, what: str, done: int, total: int) -> None:
            if model not in tasks:
                tasks[model] = bar.add_task(model, total=None)
            bar.update(tasks[model], description=f"{model}: {what}", completed=done, total=total or None)

        yield tell


def _show(report: dict[str, Any]) -> None:
    from ..bench.tables import of_model

    for model in report["models"]:
        out.print(of_model(model))
    load, cores = report["machine"]["load_average"] or 0.0, report["machine"]["cores"]
    if load > cores / 2:
        say(f"Other programs kept this machine busy (load {load:g} on {cores} cores): expect noise.", style="yellow")


def _compare(a: Path, b: Path, json_file: Path | None) -> None:
    from ..bench import compare, read_report
    from ..bench.tables import of_comparison

    comparison = compare(read_report(a), read_report(b))
    out.print(of_comparison(comparison))
    if json_file is not None:
        rows = [{**dataclasses.asdict(row), "ratio": row.ratio, "verdict": row.verdict} for row in comparison.rows]
        _write_json({"rows": rows, "differences": comparison.differences}, json_file)


def _write_json(content: dict[str, Any], path: Path) -> None:
    import json

    from ..files import atomic_file

    with atomic_file(path) as stream:
        stream.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    say(f"{path}: written")
