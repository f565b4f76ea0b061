# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt video``: the background out of clips, over another one, or the alpha alone."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import EXIT_FAILED, EXIT_USAGE, console, error_boundary, fail, say, setup_logging
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
    StabilizeOption,
    VideoStretchOption,
    open_matter,
    sides,
    stretch_of,
)

if TYPE_CHECKING:
    from ..video import Progress, VideoJob, VideoOptions, VideoResult
    from ..video_matter import VideoMatter


class _Format(enum.StrEnum):
    mp4 = "mp4"
    mov = "mov"
    webm = "webm"
    mkv = "mkv"
    webp = "webp"
    png = "png"


class _Decoder(enum.StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@error_boundary()
def video(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Clips: anything that FFmpeg reads.")],
    target: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="OUT", help="A file, FOLDER/%06d.png for a PNG sequence, or a folder for the files."
        ),
    ],
    output: Annotated[
        Output | None, typer.Option(help="What to make, a cutout by default.", show_default=False)
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="'#rrggbb', a colour name, a picture, a clip, blur or blur:RADIUS; makes a composite."
        ),
    ] = None,
    file_format: Annotated[
        _Format | None,
        typer.Option("--format", help="When OUT is a folder: mov for cutouts, else mp4.", show_default=False),
    ] = None,
    codec: Annotated[
        str | None, typer.Option(help="h264, hevc, vp9, prores, ffv1; what suits the file by default.")
    ] = None,
    crf: Annotated[int | None, typer.Option(help="Quality of h264, hevc and vp9; smaller is better.")] = None,
    bitrate: Annotated[str | None, typer.Option(metavar="BITS", help="As 4M, in place of --crf.")] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="For h264, vp9 and webp; ffv1 and png are.")] = False,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Begin there: 12.5, 1:02.5 or 1:00:02.")] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after so long.")] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Make the rate constant: 25, 29.97, 30000/1001.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Scale to so many pixels; keeps the shape.")] = None,
    height: Annotated[int | None, typer.Option(help="Scale to so many pixels; keeps the shape.")] = None,
    decoder: Annotated[
        _Decoder, typer.Option(help="What decodes: auto takes the GPU if the engine does and it can.")
    ] = _Decoder.auto,
    audio: Annotated[bool, typer.Option("--keep-audio/--no-audio", help="Copy the sound as it is.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")] = False,
    refine: RefineOption = True,
    decontaminate: DecontaminateOption = True,
    stabilize: StabilizeOption = True,
    stretch: VideoStretchOption = "none",
    model: ModelOption = "u2net",
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    calibration: CalibrationOption = None,
    size: SizeOption = None,
    resampling: FilterOption = Filter.lanczos,
    slots: Annotated[int, typer.Option(min=1, max=64, help="Frames the engine works on at once.")] = 2,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")] = False,
) -> None:
    """Take the background out of clips.

    Every frame keeps its time, also with a variable frame rate; sound and
    subtitles are copied as they are. Edges are refined and cleaned of the old
    background's colour, and flicker is held back. Transparent results: .mov (ProRes 4444),
    .webm (VP9), .mkv (FFV1, lossless), .webp, or a PNG sequence.

    A damaged frame is left out and counted. Where the clip ends early or more
    than one frame in ten is damaged, the rest is written and the exit code
    is 1. On any error, and on Ctrl-C, nothing is written.

    For example: [bold]rmbg-trt video talk.mp4 -o talk.mov[/bold]

    Over something else: [bold]rmbg-trt video talk.mp4 -o new.mp4 --background blur[/bold]

    Pictures: [bold]rmbg-trt video talk.mp4 -o 'talk/%06d.png' --start 1:05 --duration 10[/bold]
    """
    setup_logging(verbose)
    from ..errors import InputError
    from ..video import VideoOptions
    from ..video.frame_times import frame_rate, seconds

    try:
        network_size = sides(size)
        stretched = stretch_of(stretch, running=True)
        options = VideoOptions(
            output=output.value if output else None,
            background=background,
            codec=codec,
            crf=crf,
            bitrate=bitrate,
            lossless=lossless,
            start=None if start is None else seconds(start, "--start"),
            duration=None if duration is None else seconds(duration, "--duration"),
            fps=None if fps is None else frame_rate(fps),
            width=width,
            height=height,
            decoder=decoder.value,
            audio=audio,
            overwrite=overwrite,
        )
        jobs = _jobs(inputs, target, options, file_format)
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    if not jobs:
        return
    with open_matter(
        model,
        stabilize=stabilize,
        refine=refine,
        decontaminate=decontaminate,
        stretch=stretched,
        device=device,
        runtime=runtime,
        precision=precision,
        calibration=calibration,
        size=network_size,
        filter=resampling.value,
        slots=slots,
    ) as matter:
        sound = [_run(job, matter, alone=len(jobs) == 1) for job in jobs]
    if not all(sound):
        raise typer.Exit(EXIT_FAILED)


def _jobs(inputs: list[Path], given: str, options: VideoOptions, chosen: _Format | None) -> list[VideoJob]:
    """All clips with their targets, checked; those that are done are said and left out, if there are several."""
    import dataclasses

    from ..errors import InputError
    from ..video import VideoJob

    target = Path(given)
    is_folder = target.is_dir() or given.endswith(("/", os.sep))
    if len(inputs) == 1 and not is_folder:
        if chosen and target.suffix.lower() != f".{chosen.value}":
            raise InputError(f"--format {chosen.value} and {target} contradict each other; give one of them")
        return [VideoJob(inputs[0], target, options)]
    if target.is_file() or (target.suffix and not is_folder):
        raise InputError(f"{target} is one file, for {len(inputs)} clips; give a folder, as {target.stem}/")
    kind = options.kind
    suffix = chosen.value if chosen else "mov" if kind == "cutout" else "mp4"
    jobs: dict[Path, VideoJob] = {}
    for source in inputs:
        name = f"{source.stem}_{kind}"
        place = target / name / "%06d.png" if suffix == "png" else target / f"{name}.{suffix}"
        if place in jobs:
            raise InputError(f"{jobs[place].path} and {source} would both become {place}; give them one at a time")
        job = VideoJob(source, place, dataclasses.replace(options, overwrite=True))
        if job.done and not options.overwrite:
            say(f"{place} is there already; --overwrite does it again", style="yellow")
            continue
        jobs[place] = job
    return list(jobs.values())


def _run(job: VideoJob, matter: VideoMatter, *, alone: bool) -> bool:
    """Does one clip and says how it went; an error of one clip does not stop the others."""
    from ..errors import Error

    try:
        with _progress(job.path.name) as tell:
            result = job.run(matter, tell)
    except Error as error:
        if alone:
            raise
        say(f"{job.path}: {error}", style="bold red")
        return False
    _tell(job, result)
    return result.complete


def _tell(job: VideoJob, result: VideoResult) -> None:
    for note in result.notes:
        say(f"{job.path}: {note}", style="yellow")
    if result.dropped:
        say(
            f"{job.path}: {', '.join(result.dropped)} left out, which {job.target.suffix} cannot hold; .mkv holds most",
            style="yellow",
        )
    if result.lost:
        say(f"{job.path}: {result.lost} packets of sound or subtitles did not fit and were left out", style="yellow")
    if result.mended:
        say(f"{job.path}: {result.mended} frames had no time, or one that fell back; mended", style="yellow")
    if result.damaged:
        say(f"{job.path}: {result.damaged} damaged frames or pieces were left out", style="yellow")
    if result.missing_s:
        say(f"{job.path}: the file ends {result.missing_s:.1f} s early; it may be cut off", style="bold red")
    rate = result.frames / result.elapsed_s
    realtime = result.seconds / result.elapsed_s
    say(
        f"{result.target}: {result.frames} frames in {result.elapsed_s:.1f} s, {rate:.1f} fps, {realtime:.2f}x realtime"
    )


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """A bar over the clip's seconds, with frames a second, how fast beside the clip, and the time left."""
    import time

    from rich import progress as bars

    begin = time.perf_counter()
    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TextColumn("{task.fields[speed]}", markup=False),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(name, total=None, speed="")

        def tell(done: Progress) -> None:
            elapsed = time.perf_counter() - begin
            speed = f"{done.frames} frames, {done.frames / elapsed:.1f} fps, {done.seconds / elapsed:.2f}x"
            bar.update(task, completed=done.seconds, total=done.total_s, speed=speed)

        yield tell
