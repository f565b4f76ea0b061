# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt camera``: live matting into a window, a virtual camera, a file or a pipe."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import EXIT_FAILED, EXIT_USAGE, error_boundary, fail, say, setup_logging
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
    from ..live import LiveMatter, LiveOptions, LiveReport, Sink


class _Raw(enum.StrEnum):
    rgb24 = "rgb24"
    bgra = "bgra"


@error_boundary()
def camera(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="A camera's number, a device, a URL, or a file to play.")
    ] = "0",
    output: Annotated[
        Output | None,
        typer.Option(help="What to make: a composite if there is a background, else a cutout.", show_default=False),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="'#rrggbb', a colour name, a picture, a clip, blur or blur:RADIUS. Several: the key b changes them.",
        ),
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Swap left and right.")] = False,
    width: Annotated[int | None, typer.Option(help="Of the results; a camera is asked for it.")] = None,
    height: Annotated[int | None, typer.Option(help="Of the results; a camera is asked for it.")] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Take so many frames a second at most; a camera is asked for it.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin a file again when it is over.")] = False,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after so long: 90 or 1:30.")] = None,
    reconnect: Annotated[
        str, typer.Option(metavar="N|forever", help="How often in a row to look for a lost camera or stream.")
    ] = "forever",
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="Show a window.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Show figures in the window.")] = True,
    virtual_camera: Annotated[
        bool, typer.Option("--virtual-camera", help="Be a camera for other programs: meetings, OBS.")
    ] = False,
    virtual_device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Which virtual camera, as /dev/video10; implies it.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record from the start: .mp4, .mov, .webm, .mkv.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a recording that is there.")] = False,
    stdout: Annotated[
        _Raw | None, typer.Option("--stdout", help="Write raw frames to stdout, for a pipe.", show_default=False)
    ] = None,
    snapshots: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the key s saves pictures.")] = Path(),
    refine: RefineOption = True,
    decontaminate: DecontaminateOption = True,
    stabilize: StabilizeOption = True,
    stretch: VideoStretchOption = "none",
    model: ModelOption = "u2netp",
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    calibration: CalibrationOption = None,
    size: SizeOption = None,
    resampling: FilterOption = Filter.lanczos,
    slots: Annotated[
        int, typer.Option(min=1, max=64, help="Frames in flight; more keep a GPU busier, and each is older.")
    ] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")] = False,
) -> None:
    """Take the background out of a camera's picture, live.

    Always the newest frame is matted; what there is no time for is dropped,
    so the picture may be rare but not old. In the window: q quits, h shows
    all keys. Ctrl-C ends it too; a recording is whole then.

    For example: [bold]rmbg-trt camera --background blur --virtual-camera[/bold]

    A stream: [bold]rmbg-trt camera rtsp://10.0.0.7/live --record out.mov --no-preview[/bold]

    Into a pipe: [bold]rmbg-trt camera 0 --background green --no-preview --stdout rgb24 | ffplay -f rawvideo
    -pixel_format rgb24 -video_size 1280x720 -[/bold]
    """
    setup_logging(verbose)
    from ..errors import InputError
    from ..live import LiveMatter, LiveOptions, source_of
    from ..video.background import read_background
    from ..video.frame_times import parse_frame_rate, parse_seconds

    with contextlib.ExitStack() as stack:
        try:
            network_size = sides(size)
            stretched = stretch_of(stretch, running=True)
            options = LiveOptions(
                output=output.value if output else None,
                backgrounds=[read_background(each) for each in background or ()],
                mirror=mirror,
                width=width,
                height=height,
                fps=None if fps is None else float(parse_frame_rate(fps)),
                loop=loop,
                reconnect=_tries(reconnect),
                slots=slots,
                overlay=overlay,
                snapshots=snapshots,
            )
            options.check()
            seconds_to_run = None if duration is None else float(parse_seconds(duration, "--duration"))
            found = source_of(source, width=width, height=height, fps=options.fps)
            sinks: list[Sink] = [] if stdout is None else [_pipe(stdout.value, stack)]
            sinks += _recorder(record, options, overwrite)
            sinks += _screens(preview, virtual_camera or virtual_device is not None, virtual_device)
        except InputError as error:
            fail(str(error), EXIT_USAGE)
        matter = stack.enter_context(
            open_matter(
                model,
                device=device,
                runtime=runtime,
                precision=precision,
                calibration=calibration,
                size=network_size,
                filter=resampling.value,
                slots=slots,
                stabilize=stabilize,
                refine=refine,
                decontaminate=decontaminate,
                stretch=stretched,
            )
        )
        live = LiveMatter(found, matter, sinks, options, recording=record, tell=say)
        _run(live, seconds_to_run)
    if live.report().errors:
        raise typer.Exit(EXIT_FAILED)


def _tries(text: str) -> int | None:
    from ..errors import InputError

    if text.strip().lower() == "forever":
        return None
    if not text.strip().isascii() or not text.strip().isdigit():
        raise InputError(f"--reconnect is {text!r}; expected a number of tries, or forever")
    return int(text)


def _pipe(format: Any, stack: contextlib.ExitStack) -> Sink:
    """Raw frames on stdout, and whatever else would go there on stderr until the stack ends."""
    from ..errors import InputError
    from ..live import RawFrames

    if sys.stdout.isatty():
        raise InputError(f"--stdout {format} writes raw frames, which no terminal shows; send them to a pipe or a file")
    sys.stdout.flush()
    ours = os.dup(1)
    stack.callback(os.close, ours)
    os.dup2(2, 1)
    stack.callback(os.dup2, ours, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(ours, os.O_BINARY)
    return RawFrames(ours, format, announce=say)


def _recorder(target: Path | None, options: LiveOptions, overwrite: bool) -> list[Sink]:
    from ..live import Recorder

    return [] if target is None else [Recorder(target, options.kind, overwrite=overwrite)]


def _screens(preview: bool, virtual: bool, device: str | None) -> list[Sink]:
    from ..live import VirtualCamera, Window

    screens: list[Sink] = [Window()] if preview else []
    return [*screens, VirtualCamera(device)] if virtual else screens


def _run(live: LiveMatter, seconds: float | None) -> None:
    """Runs until the end, whatever it is, and says how it went.

    Ctrl-C and SIGTERM end it well; the second Ctrl-C ends it at once. Raises `KeyboardInterrupt` after Ctrl-C.
    """
    interrupted = False

    def stop(number: int, _: Any) -> None:
        nonlocal interrupted
        if number == signal.SIGINT:
            interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
        live.stop()

    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for each in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, each, signal.signal(each, stop))
        try:
            live.run(seconds)
        finally:
            _tell(live.report())
    if interrupted:
        raise KeyboardInterrupt


def _tell(report: LiveReport) -> None:
    """What was done, a line for the whole and one for each sink."""
    if not report.frames:
        return
    lost = f", found again {report.reconnects} times" if report.reconnects else ""
    say(
        f"{report.frames} frames in {report.seconds:.1f} s{lost}: {report.matted} matted "
        f"({report.matted / max(report.seconds, 1e-3):.1f} fps), {report.dropped} dropped as stale; latency "
        f"{report.latency.p50_ms:.0f} ms, 95 % within {report.latency.p95_ms:.0f} ms"
    )
    for name, sink in report.sinks.items():
        error = f"; {sink.error}" if sink.error else ""
        say(
            f"{name}: {sink.written} frames, {sink.dropped} dropped; latency {sink.latency.p50_ms:.0f} ms, "
            f"95 % within {sink.latency.p95_ms:.0f} ms{error}",
            style="bold red" if error else "",
        )
