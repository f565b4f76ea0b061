# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt image``: the background out of pictures: files, folders, patterns, or stdin to stdout."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from .console import EXIT_USAGE, error_boundary, fail, say, setup_logging
from .engine_options import (
    CalibrationOption,
    DecontaminateOption,
    DeviceOption,
    Filter,
    FilterOption,
    ModelOption,
    Output,
    PrecisionOption,
    RefineOption,
    RuntimeOption,
    SizeOption,
    StretchOption,
    open_engine,
    sides,
    stretch_of,
)

if TYPE_CHECKING:
    from ..folder_job import Options
    from ..image import Format


class _Format(enum.StrEnum):
    png = "png"
    webp = "webp"
    tiff = "tiff"
    jpg = "jpg"


_MAX_PIXELS = 178_956_970  # image.DEFAULT_MAX_PIXELS, without importing Pillow for the help text


@error_boundary()
def image(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders, patterns ('*.jpg'), or - for stdin.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="OUT", help="A file, a folder, or - for stdout. Default: NAME_cutout.png beside it."
        ),
    ] = None,
    output: Annotated[
        Output | None, typer.Option(help="What to make, a cutout by default.", show_default=False)
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="'#rrggbb', a colour name, a picture, blur or blur:RADIUS; makes a composite."
        ),
    ] = None,
    file_format: Annotated[
        _Format | None, typer.Option("--format", help="By default what OUT ends in, else png.", show_default=False)
    ] = None,
    refine: RefineOption = False,
    decontaminate: DecontaminateOption = False,
    stretch: StretchOption = "minmax",
    model: ModelOption = "u2net",
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    calibration: CalibrationOption = None,
    size: SizeOption = None,
    resampling: FilterOption = Filter.lanczos,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Pictures in work at once; cores + 2 by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is there already.")] = False,
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Do again only where the input is newer than its result.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look for new pictures in INPUT until Ctrl-C.")] = False,
    premultiplied: Annotated[bool, typer.Option("--premultiplied", help="Colours of a cutout times alpha.")] = False,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="For jpg (92 by default) and webp (else lossless).")
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = _MAX_PIXELS,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")] = False,
) -> None:
    """Take the background out of pictures.

    What is done already is skipped, so a job that was stopped resumes when
    it is started again. A picture that fails does not stop the others:
    failures are listed at the end, and the exit code is 1.

    A folder without -o becomes FOLDER_cutout beside it, with the same folders
    below. Pictures stand upright in the result; resolution, EXIF data and
    colour profile are kept where the format can.

    For example: [bold]rmbg-trt image cat.jpg[/bold] makes cat_cutout.png

    Hair, over something new: [bold]rmbg-trt image cat.jpg --refine --decontaminate[/bold]

    A shop's folder: [bold]rmbg-trt image photos -o shop --background white --format jpg[/bold]

    A pipe: [bold]curl -s URL | rmbg-trt image - -o - | display[/bold]
    """
    setup_logging(verbose)
    from ..errors import InputError
    from ..image import lift_pillow_limit
    from . import image_job

    lift_pillow_limit()  # --max-pixels takes its place
    if overwrite and only_new:
        fail("--overwrite and --only-new contradict each other; give one of them", EXIT_USAGE)
    piped = "-" in inputs or target == "-"
    if piped and (len(inputs) != 1 or watch):
        fail("- takes one picture, and cannot be watched", EXIT_USAGE)
    try:
        network_size = sides(size)
        stretched = stretch_of(stretch)
        kind = (output.value if output else None) or ("composite" if background else "cutout")
        chosen = _format(file_format, target, kind, quality)
        options = _options(kind, background, premultiplied, quality, max_pixels)
        job: image_job.PipeJob | image_job.WatchJob | image_job.FolderJob
        skip: image_job.Skip = "none" if overwrite else "newer" if only_new else "existing"
        if piped:
            job = image_job.PipeJob(inputs[0], target or "-", chosen, skip)
        elif watch:
            job = image_job.WatchJob(inputs, target, chosen or "png", kind, skip)
        else:
            job = image_job.FolderJob(inputs, target, chosen, kind, skip)
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    if job.is_done():
        return

    with open_engine(
        model,
        device=device,
        runtime=runtime,
        precision=precision,
        calibration=calibration,
        size=network_size,
        filter=resampling.value,
        refine=refine,
        decontaminate=decontaminate,
        stretch=stretched,
    ) as engine:
        code = job.run(engine, options, jobs)
    if code:
        raise typer.Exit(code)


def _format(chosen: _Format | None, target: str | None, output: str, quality: int | None) -> Format | None:
    """The format that is sure by now; None where there is no target file to say it, and none was chosen."""
    from pathlib import Path

    from ..image import FORMATS
    from ..image.write import check_format

    name: Format | None = chosen.value if chosen else None
    if name is None and target is not None and not Path(target).is_dir():
        name = FORMATS.get(Path(target).suffix.lower())
    check_format(name or "png", output, quality)
    return name


def _options(output: str, background: str | None, premultiplied: bool, quality: int | None, max_pixels: int) -> Options:
    from typing import Any

    from .. import background as backgrounds
    from ..errors import InputError
    from ..folder_job import Options
    from ..image import read_image

    value: Any = background
    if premultiplied and output != "cutout":
        raise InputError(f"--premultiplied is for cutouts, not for --output {output}")
    if output != "composite":
        if background is not None:
            say(f"--background is not used for --output {output}", style="yellow")
        value = None
    elif background is None:
        raise InputError("--output composite needs --background: a colour, a picture, blur or blur:RADIUS")
    elif _is_file(background):
        value = read_image(background, max_pixels=max_pixels).pixels[:, :, :3]
    else:
        try:
            backgrounds.parse(background, 1, 1, "rgb")
        except InputError as error:
            raise InputError(f"{error}; and there is no picture of that name") from None
    return Options(output, value, premultiplied, quality, max_pixels)  # type: ignore[arg-type]  # an Output's value


def _is_file(name: str) -> bool:
    from pathlib import Path

    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
