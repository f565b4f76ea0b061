# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt doctor``: what this machine has, what is missing, and whether background removal works."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from ..doctor import Package, Report, Trial, examine, trial_run
from .console import EXIT_FAILED, VerboseOption, download_bar, error_boundary, out, setup_logging


@error_boundary()
def doctor(
    model: Annotated[str, typer.Option("--model", "-m", help="The model of the trial run.")] = "u2netp",
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not run a model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Examine this machine, and remove the background of a test image to see whether everything works.

    The exit code is 0 if that works (or with --no-run), else 1. Paste the output into a bug report.

    Example: [bold]rmbg-trt doctor --json > report.json[/bold]
    """
    setup_logging(verbose)
    report = examine()
    if not as_json:
        _print_report(report)
    trial: Trial | None = None
    if not no_run:
        with download_bar(model) as progress:
            trial = trial_run(model, progress=progress)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "trial": trial and asdict(trial)}, indent=2, default=str))
    elif trial:
        _print_trial(trial)
    if trial and not trial.ok:
        raise typer.Exit(EXIT_FAILED)


def _print_report(report: Report) -> None:
    cpu, nvidia, core, cache = report.processor, report.nvidia, report.core, report.cache
    rows = [
        ("System", report.system),
        ("Python", report.python),
        ("Processor", cpu.model),
        ("Cores usable", str(cpu.cores)),
        ("Features", " ".join(cpu.features) or "none of those that matter"),
        ("Memory", f"{cpu.memory_bytes / 2**30:.1f} GiB" if cpu.memory_bytes else "unknown"),
    ]
    _section("Machine", rows)
    cuda = f"CUDA {core.cuda_version}, for {core.cuda_architectures}" if core.cuda else "built without CUDA"
    rows = [("rmbg-trt", f"{core.version} ({cuda}; {core.compiler})" if core.version else f"missing: {core.problem}")]
    rows.append(("Driver", nvidia.driver or nvidia.problem or "none found"))
    for gpu in nvidia.gpus:
        size = f", {gpu.memory_mib} MiB" if gpu.memory_mib else ""
        rows.append(("GPU", f"{gpu.name}{size}, compute capability {gpu.compute_capability or 'unknown'}"))
    if core.cuda:
        rows.append(("Usable by the core", ", ".join(core.devices) or f"none: {core.problem or 'no device'}"))
    toolkit = f"{nvidia.nvcc_version or 'unknown'} at {nvidia.nvcc}" if nvidia.nvcc else "none found"
    _section("GPU", [*rows, ("CUDA toolkit", toolkit)])
    _section("Optional packages", [(p.name, p.purpose, *_package_state(p)) for p in report.packages])
    state = "writable" if cache.writable else "NOT writable"
    rows = [("Folder", f"{cache.folder} ({state}, {cache.size_bytes / 1e6:.1f} MB)")]
    rows += [
        (name, "cached" if cached else f"not cached; rmbg-trt models pull {name}")
        for name, cached in cache.models.items()
    ]
    _section("Cache", rows)
    for advice in report.advice:
        _line("! ", advice, "yellow")


def _package_state(package: Package) -> tuple[str, str]:
    return (package.version or "found", "") if package.installed else ("missing", package.install)


def _print_trial(trial: Trial) -> None:
    rows = [(key.replace("_", " "), str(value)) for key, value in (trial.info or {}).items()]
    if trial.start_ms is not None and trial.first_ms is not None and trial.frame_ms is not None:
        times = f"{trial.frame_ms:.1f} ms (start {trial.start_ms:.0f} ms, first frame {trial.first_ms:.1f} ms)"
        rows.append(("a 640x480 frame", times))
    if rows:
        _section("Trial run", rows)
    if trial.ok:
        _line("PASS ", f"removed the background of a test image with {trial.model}", "bold green")
    else:
        _line("FAIL ", f"{trial.model}: {trial.reason}", "bold red")


def _section(title: str, rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    for row in rows:
        table.add_row(*[Text(cell, overflow="fold") for cell in row])
    out.print(table)


def _line(mark: str, message: str, style: str) -> None:
    out.print(Text.assemble((mark, style), message), soft_wrap=True, highlight=False)
