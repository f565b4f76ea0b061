# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt video``: removes or replaces the background of clips, or writes their alpha."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import progress as bars

from ..errors import Error, InputError
from ..options import FrameOptions
from ..video_matter import VideoMatter
from .console import EXIT_FAILED, EXIT_USAGE, VerboseOption, console, error_boundary, fail, say, setup_logging
from .options import EngineChoice, FrameChoice, MatteChoice, ModelOption, SlotsOption, expand_options

if TYPE_CHECKING:
    from ..video import Progress, VideoJob, VideoOptions, VideoResult


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


@dataclass(frozen=True, kw_only=True)
class ClipFrameChoice(FrameChoice):
    """What to make of a clip's frames."""

    background: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="'#rrggbb', a colour name, an image, a clip, blur or blur:RADIUS."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """Which part of each clip to take, and how to write it: the options that become `VideoOptions`."""

    codec: Annotated[
        str | None, typer.Option(help="h264, hevc, av1, vp9, prores or ffv1; by default one that suits the file.")
    ] = None
    crf: Annotated[
        int | None, typer.Option(help="Constant quality for h264, hevc, av1 and vp9; smaller is better.")
    ] = None
    bitrate: Annotated[str | None, typer.Option(metavar="BITS", help="Bit rate, such as 4M, instead of --crf.")] = None
    lossless: Annotated[bool, typer.Option("--lossless", help="For h264, vp9, webp; ffv1 and png always are.")] = False
    preset: Annotated[
        str | None,
        typer.Option(help="Speed of the encoder: ultrafast to placebo for h264 and hevc, 13 (fastest) to 0 for av1."),
    ] = None
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Where to begin: 12.5, 1:02.5 or 1:00:02.")] = None
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="How much to read.")] = None
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Convert to a constant rate: 25, 29.97, 30000/1001.")
    ] = None
    width: Annotated[int | None, typer.Option(help="Scale to this width in pixels; the height follows.")] = None
    height: Annotated[int | None, typer.Option(help="Scale to this height in pixels; the width follows.")] = None
    decoder: Annotated[
        _Decoder, typer.Option(help="auto decodes on the engine's GPU if it can, otherwise on the processor.")
    ] = _Decoder.auto
    deinterlace: Annotated[
        bool, typer.Option("--deinterlace/--no-deinterlace", help="Make interlaced frames progressive.")
    ] = True
    tone_map: Annotated[bool, typer.Option("--tone-map", help="Convert HDR (PQ, HLG) to SDR.")] = False
    audio: Annotated[bool, typer.Option("--keep-audio/--no-audio", help="Copy the sound.")] = True
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False

    def options(self, frame: FrameOptions) -> VideoOptions:
        """The same as `VideoOptions`; raises `InputError` if a time or a rate cannot be parsed."""
        from ..video import VideoOptions  # here, as it needs PyAV
        from ..video.frame_times import parse_frame_rate, parse_seconds

        parsed = {
            "frame": frame,
            "start": None if self.start is None else parse_seconds(self.start, "--start"),
            "duration": None if self.duration is None else parse_seconds(self.duration, "--duration"),
            "fps": None if self.fps is None else parse_frame_rate(self.fps),
            "decoder": self.decoder.value,
        }
        return VideoOptions(**{**vars(self), **parsed})


@error_boundary()
@expand_options
def video(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Clips, in any format that FFmpeg reads: files, URLs, - for stdin, images such as 'f_%03d.png'.",
        ),
    ],
    *,
    target: Annotated[
        str,
        typer.Option("--out", "-o", metavar="OUT", help="A file, a folder, or FOLDER/%06d.png for a PNG sequence."),
    ],
    file_format: Annotated[
        _Format | None,
        typer.Option("--format", help="For a folder; by default mov for cutouts, otherwise mp4.", show_default=False),
    ] = None,
    frame: ClipFrameChoice,
    clip: ClipChoice,
    matte: MatteChoice,
    model: ModelOption = "u2net",
    engine: EngineChoice,
    slots: SlotsOption = 2,
    verbose: VerboseOption = False,
) -> None:
    """Remove the background of video clips.

    Every frame keeps its time, also with a variable frame rate. Sound and
    subtitles are copied without loss. By default edges are refined, the old
    background's colour is removed from them, and flicker is reduced.

    Transparent results: .mov (ProRes 4444), .webm (VP9), .mkv (FFV1,
    lossless), .webp, or a PNG sequence.

    Damaged frames are skipped and counted. If the clip ends early, or more
    than one frame in ten is damaged, the rest is written and the exit code
    is 1. After an error or Ctrl-C nothing is written.

    For example: [bold]rmbg-trt video talk.mp4 -o talk.mov[/bold]

    Another background: [bold]rmbg-trt video talk.mp4 -o new.mp4 --background blur[/bold]

    Images: [bold]rmbg-trt video talk.mp4 -o 'talk/%06d.png' --start 1:05 --duration 10[/bold]

    From images: [bold]rmbg-trt video 'shot_%04d.png' -o shot.mov --fps 24[/bold]
    """
    setup_logging(verbose)
    from ..video.clip_file import ClipFile  # here, as it needs PyAV

    try:
        frame_options = frame.frame_options()
        jobs = _jobs(inputs, target, clip.options(frame_options), file_format)
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    if not jobs:
        return
    if len(inputs) == 1 and Path(inputs[0]).is_file():  # a bad one is found before the model is loaded
        ClipFile(inputs[0]).close()
    with matte.open(engine, model, frame_options, slots=slots) as matter:
        complete = [_run(job, matter, alone=len(jobs) == 1) for job in jobs]
    if not all(complete):
        raise typer.Exit(EXIT_FAILED)


def _jobs(inputs: list[str], out: str, options: VideoOptions, file_format: _Format | None) -> list[VideoJob]:
    """Pairs all clips with their targets and checks them. Of several clips, those that are done are skipped."""
    from ..video import VideoJob  # here, as it needs PyAV
    from ..video.location import Location

    target = Path(out)
    is_folder = target.is_dir() or out.endswith(("/", os.sep))
    if len(inputs) == 1 and not is_folder:
        if file_format and target.suffix.lower() != f".{file_format.value}":
            raise InputError(f"--format {file_format.value} and {target} contradict each other; give one of them")
        return [VideoJob(inputs[0], target, options)]
    if target.is_file() or (target.suffix and not is_folder):
        raise InputError(f"{target} is one file, for {len(inputs)} clips; give a folder, such as {target.stem}/")
    suffix = file_format.value if file_format else "mov" if options.frame.output == "cutout" else "mp4"
    jobs: dict[Path, VideoJob] = {}
    for source in map(Location.of, inputs):
        name = f"{source.stem}_{options.frame.output}"
        place = target / name / "%06d.png" if suffix == "png" else target / f"{name}.{suffix}"
        if place in jobs:
            raise InputError(
                f"{jobs[place].location.name} and {source.name} would both become {place}; give them one at a time"
            )
        job = VideoJob(source, place, dataclasses.replace(options, overwrite=True))
        if job.done and not options.overwrite:
            say(f"{place} already exists; --overwrite replaces it", style="yellow")
            continue
        jobs[place] = job
    return list(jobs.values())


def _run(job: VideoJob, matter: VideoMatter, *, alone: bool) -> bool:
    """Runs a job and reports its result. If it is not alone, an error does not stop the others."""
    try:
        with _progress_bar(job.location.stem) as on_progress:
            result = job.run(matter, on_progress)
    except Error as error:
        if alone:
            raise
        say(f"{job.location.name}: {error}", style="bold red")
        return False
    _report(job, result)
    return result.complete


def _report(job: VideoJob, result: VideoResult) -> None:
    suffix = job.target.suffix
    hint = "" if suffix == ".mkv" else "; .mkv holds most"
    warnings = [
        *result.notes,
        *(f"{suffix} cannot hold {what}, which is missing{hint}" for what in result.dropped),
        *([f"{result.lost} packets of copied streams were not accepted and are missing"] if result.lost else []),
        *([f"{result.repaired} frames had a missing or wrong time, which was repaired"] if result.repaired else []),
        *([f"{result.damaged} damaged frames or pieces were skipped"] if result.damaged else []),
    ]
    for warning in warnings:
        say(f"{job.location.name}: {warning}", style="yellow")
    if result.broken_off:
        say(f"{job.location.name}: reading ended early ({result.broken_off})", style="bold red")
    if result.missing_s:
        say(f"{job.location.name}: the file ends {result.missing_s:.1f} s early; it may be cut off", style="bold red")
    rate, speed = result.frames / result.elapsed_s, result.seconds / result.elapsed_s
    say(f"{result.target}: {result.frames} frames in {result.elapsed_s:.1f} s, {rate:.1f} fps, {speed:.2f}x realtime")


@contextlib.contextmanager
def _progress_bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """Shows a bar over the clip's seconds, with frames per second, speed relative to the clip, and the time left."""
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

        def on_progress(progress: Progress) -> None:
            elapsed = time.perf_counter() - begin
            speed = f"{progress.frames} frames, {progress.frames / elapsed:.1f} fps, {progress.seconds / elapsed:.2f}x"
            bar.update(task, completed=progress.seconds, total=progress.total_s, speed=speed)

        yield on_progress
