# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt image``: removes the background of images: files, folders, patterns, or stdin to stdout."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..background import BackgroundLike, opaque
from ..background import parse as parse_background
from ..errors import InputError
from ..folder_job import Options, Skip
from ..image import DEFAULT_MAX_PIXELS, FORMATS, Format, check_format, lift_pillow_limit, read_image, to_pil
from ..image.find import is_special
from .console import EXIT_USAGE, VerboseOption, error_boundary, fail, say, setup_logging
from .image_job import FolderJob, PipeJob, WatchJob
from .options import (
    DecontaminateOption,
    EngineChoice,
    FrameChoice,
    JobsOption,
    ModelOption,
    RefineOption,
    StretchOption,
    expand_options,
    parse_stretch,
)


class _Format(enum.StrEnum):
    png = "png"
    webp = "webp"
    tiff = "tiff"
    jpg = "jpg"


@dataclass(frozen=True, kw_only=True)
class ImageFrameChoice(FrameChoice):
    """What to make of an image."""

    background: Annotated[
        str | None, typer.Option(metavar="WHAT", help="'#rrggbb', a color name, an image, blur or blur:RADIUS.")
    ] = None
    refine: RefineOption = False
    decontaminate: DecontaminateOption = False


@error_boundary()
@expand_options
def image(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders, patterns ('*.jpg'), or - for stdin.")
    ],
    *,
    target: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="OUT", help="A file, a folder, or - for stdout. Default: NAME_cutout.png beside it."
        ),
    ] = None,
    frame: ImageFrameChoice,
    file_format: Annotated[
        _Format | None, typer.Option("--format", help="By default the one OUT ends in, else png.", show_default=False)
    ] = None,
    stretch: StretchOption = "minmax",
    model: ModelOption = "u2net",
    choice: EngineChoice,
    jobs: JobsOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Replace results that are older than their input.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for new images in INPUT until Ctrl-C.")] = False,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="For jpg (92 by default) and webp (else lossless).")
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images.")] = DEFAULT_MAX_PIXELS,
    verbose: VerboseOption = False,
) -> None:
    """Remove the background of images.

    Images that are done already are skipped, so an interrupted job resumes
    when it is started again. An image that fails does not stop the others:
    failures are listed at the end, and the exit code is 1.

    A folder without -o becomes FOLDER_cutout beside it, with the same
    subfolders. Results are upright and keep resolution, EXIF data, XMP and
    color profile where the format can store them.

    For example: [bold]rmbg-trt image cat.jpg[/bold] makes cat_cutout.png

    Fine hair: [bold]rmbg-trt image cat.jpg --refine --decontaminate[/bold]

    A product folder: [bold]rmbg-trt image photos -o shop --background white --format jpg[/bold]

    A pipe: [bold]curl -s URL | rmbg-trt image - -o - | display[/bold]
    """
    setup_logging(verbose)
    lift_pillow_limit()  # --max-pixels takes its place
    if overwrite and only_new:
        fail("--overwrite and --only-new contradict each other; give one of them", EXIT_USAGE)
    if "" in (*inputs, target):
        fail("the name of an input or output is empty; '.' is the current folder", EXIT_USAGE)
    inputs = ["-" if name == "/dev/stdin" else name for name in inputs]
    target = "-" if target == "/dev/stdout" else target
    piped = "-" in inputs or target == "-" or (len(inputs) == 1 and is_special(Path(inputs[0])))
    if piped and (len(inputs) != 1 or watch):
        fail("- takes one image, and cannot be watched", EXIT_USAGE)
    try:
        stretched = parse_stretch(stretch)
        frame_options = frame.frame_options()
        output = frame_options.output
        format = _format(file_format, target, output, quality)
        background = _background(output, frame.background, max_pixels)
        options = Options(frame_options.replace(background=background), quality, max_pixels)
        made_with = _in_words(
            frame, output, quality, model=model, size=choice.size, stretch=stretch, filter=choice.filter
        )
        job: PipeJob | WatchJob | FolderJob
        skip: Skip = "none" if overwrite else "newer" if only_new else "existing"
        if piped:
            job = PipeJob(inputs[0], target or "-", format, skip)
        elif watch:
            job = WatchJob(inputs, target, format or "png", output, skip, made_with)
        else:
            job = FolderJob(inputs, target, format, output, skip, made_with)
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    if job.is_done():
        return
    job.check(options)
    # refine is given here too, so that a network that cannot be refined fails once, and not for every image.
    with choice.open(model, refine=frame.refine, stretch=stretched) as engine:
        code = job.run(engine, options, jobs)
    if code:
        raise typer.Exit(code)


def _format(chosen: _Format | None, target: str | None, output: str, quality: int | None) -> Format | None:
    """The format of the results; None if neither ``--format`` nor a target file says it."""
    format: Format | None = chosen.value if chosen else None
    if format is None and target is not None and not Path(target).is_dir():
        format = FORMATS.get(Path(target).suffix.lower())
    elif (
        target is not None and not Path(target).is_dir() and FORMATS.get(Path(target).suffix.lower(), format) != format
    ):
        say(f"{target} will be a {format} file, as --format says, in spite of its name", style="yellow")
    check_format(format or "png", output, quality)
    return format


def _in_words(frame: ImageFrameChoice, output: str, quality: int | None, **others: object) -> str:
    """The options that shape a result, as `Task.made_with`; those that are off are left out."""
    chosen = {**vars(frame), "output": output, "quality": quality, **others}
    return ", ".join(f"{name} {value}" for name, value in sorted(chosen.items()) if value not in (None, False))


def _background(output: str, background: str | None, max_pixels: int) -> BackgroundLike | None:
    """What ``--background`` means: an image if there is such a file, else a color or blur."""
    if output != "composite":
        if background is not None:
            say(f"--background is not used for --output {output}", style="yellow")
        return None
    if background is None:
        raise InputError("--output composite needs --background: a color, an image, blur or blur:RADIUS")
    if _is_there(background):
        loaded = read_image(background, max_pixels=max_pixels)
        return to_pil(opaque(loaded.pixels), loaded)
    try:
        parse_background(background, 1, 1, "rgb")
    except InputError as error:
        raise InputError(f"{error}; and there is no image of that name") from None
    return background


def _is_there(name: str) -> bool:
    """Whether there is a file, or a pipe."""
    try:
        return Path(name).exists() and not Path(name).is_dir()
    except (OSError, ValueError):
        return False
