# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt export``: builds a verified plan from a checkpoint or ONNX file; ``--inspect`` describes a model file."""

from __future__ import annotations

import enum
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import progress
from rich.table import Table
from rich.text import Text

from ..errors import InputError
from ..export import int8_job, job
from ..export.inspect_file import inspect
from ..export.options import Options, Range
from ..networks import native_export
from .console import EXIT_USAGE, VerboseOption, error_boundary, fail, out, say, setup_logging, stages_bar
from .options import CalibrationOption, parse_size


class _Runtime(enum.StrEnum):
    auto = "auto"
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt_rtx"


class _Precision(enum.StrEnum):
    fp16 = "fp16"
    fp32 = "fp32"
    int8 = "int8"


@error_boundary()
def export(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A catalogue name, a checkpoint, a .pth or an .onnx file."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="OUT", help="The file to write. Default: NAME.plan, .onnx, .rmbg or .int8.xml."
        ),
    ] = None,
    runtime: Annotated[
        _Runtime, typer.Option(help="auto: TensorRT if there is a GPU, else TensorRT-RTX.")
    ] = _Runtime.auto,
    precision: Annotated[
        _Precision, typer.Option(help="Arithmetic of the convolutions; int8 writes an OpenVINO model for the CPU.")
    ] = _Precision.fp16,
    size: Annotated[str | None, typer.Option(metavar="N|HxW", help="Network input. Default: the source's own.")] = None,
    dynamic: Annotated[
        tuple[str, str, str] | None,
        typer.Option(metavar="MIN OPT MAX", help="Range of input sizes, each a side or HxW: 160 320 640."),
    ] = None,
    batch: Annotated[str, typer.Option(metavar="N|MIN:OPT:MAX", help="Images per batch.")] = "1",
    device: Annotated[
        str, typer.Option(help="The GPU that builds and verifies the plan: auto, cuda or cuda:N.")
    ] = "auto",
    targets: Annotated[
        str | None, typer.Option(metavar="LIST", help="GPUs of a TensorRT-RTX plan: sm86,sm89,sm120.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Limit of the builder's scratch memory: 512M, 4G.")
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TensorRT's timings; read if it exists, then written.")
    ] = None,
    onnx_only: Annotated[bool, typer.Option("--onnx-only", help="Stop at ONNX; needs no TensorRT.")] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Write one flat file (.rmbg) for programs in C and C++, on the CPU.")
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option(
            "--verify", metavar="IMAGES", help="Up to 16 images (int8: 100) to verify with. Default: four photographs."
        ),
    ] = None,
    calibration: CalibrationOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write the model even if its verification fails.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    inspect: Annotated[
        Path | None,
        typer.Option("--inspect", metavar="FILE", help="Describe a model file and do nothing else."),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Build a verified plan for an NVIDIA GPU from a checkpoint or an ONNX file.

    The model is exported to ONNX, converted to half precision and built with
    TensorRT. Each step is compared with the one before it on real photographs,
    and a model that fails is not written. Each file gets a JSON sidecar with
    shapes, versions and the figures.

    TensorRT builds on a GPU, for GPUs of the same kind: the first GPU, or the
    one of --device. TensorRT-RTX builds anywhere, for RTX GPUs from Ampere on
    or for those in --targets.

    For example: [bold]rmbg-trt export u2net -o u2net.plan[/bold]

    Your own weights, for two kinds of GPU:
    [bold]rmbg-trt export best.safetensors -o best.plan --targets sm86,sm89[/bold]

    ONNX for other programs:
    [bold]rmbg-trt export u2netp.pth -o u2netp.onnx --onnx-only --precision fp32[/bold]

    int8 for the CPU, calibrated with your photographs and verified with masks:
    [bold]rmbg-trt export u2net -o u2net.xml --precision int8 --calibration photos --verify val[/bold]

    One file for programs in C and C++:
    [bold]rmbg-trt export u2netp --native -o u2netp.rmbg[/bold]

    Describe a file: [bold]rmbg-trt export --inspect u2net.plan[/bold]
    """
    setup_logging(verbose)
    if not verbose:  # our errors quote the runtime's messages
        logging.getLogger("rmbg_trt.tensorrt").setLevel(logging.CRITICAL + 1)
    if inspect is not None:
        if source is not None:
            fail("--inspect describes one file; give it no SOURCE", EXIT_USAGE)
        _inspect(inspect)
        return
    if source is None:
        fail("give a SOURCE to export, or --inspect FILE; see: rmbg-trt export --help", EXIT_USAGE)
    plans = runtime is not _Runtime.auto or onnx_only or targets or workspace or timing_cache or device != "auto"
    one_image = not plans and not dynamic and batch == "1"
    if native:
        if not one_image or images or calibration or precision is _Precision.int8:
            fail(
                "--native is for the CPU and for one image of one size; no options of plans, int8 or --verify",
                EXIT_USAGE,
            )
        file = target or Path(Path(source).stem + ".rmbg")
        _native(source, file, size=_usage_sides(size), force=force, overwrite=overwrite)
        return
    if precision is _Precision.int8:
        if not one_image:
            fail("--precision int8 is for the CPU and for one image of one size; no options of plans", EXIT_USAGE)
        file = target or Path(Path(source).stem + ".int8.xml")
        sides = _usage_sides(size)
        _int8(source, file, calibration=calibration, verify=images, size=sides, force=force, overwrite=overwrite)
        return
    if calibration is not None:
        fail("--calibration is for --precision int8", EXIT_USAGE)
    try:
        options = _options(
            precision=precision.value,
            batch=_range(batch.split(":"), "--batch", "N or MIN:OPT:MAX"),
            size=_size(size, dynamic),
            onnx_only=onnx_only,
            runtime=runtime.value,
            device=device,
            targets=tuple(filter(None, (targets or "").split(","))),
            workspace_bytes=_bytes(workspace),
            timing_cache=timing_cache,
            images=images,
            force=force,
            overwrite=overwrite,
        )
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    chosen = target or Path(Path(source).stem + (".onnx" if onnx_only else ".plan"))
    report = _run(source, chosen, options)
    _print_report(report)
    _report_failures(report.checks.failures(), written=report.written)


def _run(source: str, target: Path, options: Options) -> job.Report:
    with stages_bar(job.STAGES, progress.TaskProgressColumn(), progress.TimeElapsedColumn()) as on_progress:
        return job.export(source, target, options, progress=on_progress)


def _int8(source: str, target: Path, **options: Any) -> None:
    with stages_bar(int8_job.STAGES, progress.TaskProgressColumn(), progress.TimeElapsedColumn()) as on_progress:
        model = int8_job.export_int8(source, target, progress=on_progress, **options)
    say(f"calibrated with {model.samples.what}; {model.check}")
    say(f"in float32: {', '.join(model.fp32_layers) or 'nothing'}")
    _report_failures(model.check.failures(), written=options["force"])
    size = (target.stat().st_size + target.with_suffix(".bin").stat().st_size) / 1e6
    typer.echo(f"{target}: int8, {size:.2f} MB")


def _native(source: str, target: Path, **options: Any) -> None:
    with stages_bar(native_export.STAGES, progress.TimeElapsedColumn()) as on_progress:
        model = native_export.export_native(source, target, progress=on_progress, **options)
    if model.fp32 is not None:
        say(f"fp32 against ONNX Runtime: mean |Δalpha| {model.fp32.mean_alpha:.4f} of 255")
    if model.bf16 is not None:
        say(f"bf16: {model.bf16}")
    for note in model.notes:
        say(note, style="yellow")
    _report_failures(model.failures(), written=options["force"])
    typer.echo(f"{target}: {'x'.join(map(str, model.size))}, {target.stat().st_size / 1e6:.2f} MB")


def _report_failures(failures: list[str], *, written: bool) -> None:
    """Prints what failed in the verification, and ends the command if nothing was written."""
    if failures and not written:
        fail("nothing was written, because the verification failed (--force writes it anyway):\n" + _list(failures))
    if failures:
        say("Written although the verification failed:\n" + _list(failures), style="yellow")


def _print_report(report: job.Report) -> None:
    """Prints the figures of the verification and the files on stdout."""
    table = Table("Compared", title="Verification", title_justify="left")
    for column in ("images", "max |d|", "mean |d|", "alpha /255", "IoU", "passed"):
        table.add_column(column, justify="right")
    for result in report.checks.comparisons:
        passed = Text("yes", "green") if not result.failures() else Text("NO", "bold red")
        figures = (f"{result.max_abs:.2g}", f"{result.mean_abs:.2g}", f"{result.mean_alpha:.3f}", f"{result.iou:.5f}")
        table.add_row(result.what, str(result.images), *figures, passed)
    out.print(table)
    inside = report.checks.activations
    if inside is not None:
        say(f"largest value in fp16: {inside.largest:.4g} of 65504, in {inside.layer}")
    for note in report.checks.notes:
        say(note, style="yellow")
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items())
    say(f"{report.source.architecture or 'graph of another architecture'}, input {report.shape}; {times}")
    if report.written:
        for artefact in report.artefacts:
            nodes = f", {sum(artefact.nodes.values())} nodes" if artefact.nodes else ""
            line = f"{artefact.path}: {artefact.precision}, {len(artefact.data) / 1e6:.2f} MB{nodes}"
            out.print(Text(line), soft_wrap=True)


def _inspect(path: Path) -> None:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in inspect(path):
        table.add_row(title, Text(value))
    out.print(table)


def _options(**values: object) -> Options:
    options = Options(**values)  # type: ignore[arg-type]  # checked by Typer
    if options.onnx_only and (
        options.targets or options.workspace_bytes or options.timing_cache or options.device != "auto"
    ):
        raise InputError("--device, --targets, --workspace and --timing-cache are for plans, not for --onnx-only")
    return options


def _usage_sides(size: str | None) -> tuple[int, int] | None:
    try:
        return _sides(size)
    except InputError as error:
        fail(str(error), EXIT_USAGE)


def _sides(size: str | None) -> tuple[int, int] | None:
    """(height, width) of --size."""
    sides = parse_size(size)
    return (sides, sides) if isinstance(sides, int) else sides


def _size(size: str | None, dynamic: tuple[str, str, str] | None) -> tuple[Range, Range] | None:
    """Height and width, each as smallest, usual and largest; None for the source's own."""
    if size and dynamic:
        raise InputError("--size and --dynamic contradict each other; give one of them")
    sides = _sides(size)
    if sides:
        height, width = sides
        return (height, height, height), (width, width, width)
    if dynamic is None:
        return None
    pairs = [side.lower().split("x") for side in dynamic]
    if any(len(pair) > 2 for pair in pairs):
        raise InputError(f"--dynamic is {' '.join(dynamic)!r}; expected three sides or HxW, such as 160 320 640")
    heights, widths = ([pair[index] for pair in pairs] for index in (0, -1))
    return _range(heights, "--dynamic", "whole numbers"), _range(widths, "--dynamic", "whole numbers")


def _range(parts: list[str], option: str, expected: str) -> Range:
    if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"{option} is {' '.join(parts)!r}; expected {expected}")
    low, usual, high = map(int, parts * 3 if len(parts) == 1 else parts)
    return low, usual, high


def _bytes(text: str | None) -> int | None:
    """The number of bytes in a size such as 512M or 4G."""
    if text is None:
        return None
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise InputError(f"--workspace is {text!r}; expected a size such as 512M or 4G")
    return int(number) * unit


def _list(lines: list[str]) -> str:
    return "\n".join(f"  - {line}" for line in lines)
