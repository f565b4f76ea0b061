# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt camera``: live matting into a window, a virtual camera, a recording or a pipe."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .console import EXIT_FAILED, EXIT_USAGE, VerboseOption, error_boundary, fail, say, setup_logging
from .options import EngineChoice, FrameChoice, MatteChoice, ModelOption, SlotsOption, expand_options

if TYPE_CHECKING:
    from ..live import LiveMatter, LiveReport, Sink


class _RawFormat(enum.StrEnum):
    rgb24 = "rgb24"
    bgra = "bgra"


@dataclass(frozen=True, kw_only=True)
class CameraFrameChoice(FrameChoice):
    """What to make of a camera's frames."""

    background: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="'#rrggbb', a colour name, an image, a video, blur or blur:RADIUS. Repeat it to switch with key b.",
        ),
    ] = None


@error_boundary()
@expand_options
def camera(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="Camera number, device, URL, or a file to play.")
    ] = "0",
    *,
    frame: CameraFrameChoice,
    mirror: Annotated[bool, typer.Option("--mirror", help="Swap left and right.")] = False,
    width: Annotated[int | None, typer.Option(help="Width of the results; also requested from a camera.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the results; also requested from a camera.")] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Maximum frame rate; also requested from a camera.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again when it ends.")] = False,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after this time: 90 or 1:30.")] = None,
    reconnect: Annotated[
        str, typer.Option(metavar="N|forever", help="How many times in a row to try to reopen a lost source.")
    ] = "forever",
    preview: Annotated[bool, typer.Option("--preview/--no-preview", help="Show a window.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Show statistics in the window.")] = True,
    virtual_camera: Annotated[
        bool, typer.Option("--virtual-camera", help="Act as a camera for other programs: meetings, OBS.")
    ] = False,
    virtual_device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", help="The virtual camera to use, such as /dev/video10; implies --virtual-camera."
        ),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record to a file: .mp4, .mov, .webm, .mkv.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing recording.")] = False,
    stdout: Annotated[
        _RawFormat | None, typer.Option("--stdout", help="Write raw frames to stdout.", show_default=False)
    ] = None,
    snapshots: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the snapshots of the key s.")] = Path(),
    matte: MatteChoice,
    model: ModelOption = "u2netp",
    engine: EngineChoice,
    slots: SlotsOption = 1,
    verbose: VerboseOption = False,
) -> None:
    """Remove the background of a live camera, stream or file.

    Only the newest frame is matted and older ones are dropped, so a slow
    network lowers the frame rate but never adds latency. In the window, q
    quits and h shows all keys. Ctrl-C also quits; a recording stays complete.

    For example: [bold]rmbg-trt camera --background blur --virtual-camera[/bold]

    Record a stream: [bold]rmbg-trt camera rtsp://10.0.0.7/live --record out.mov --no-preview[/bold]

    Write to a pipe: [bold]rmbg-trt camera 0 --background green --no-preview --stdout rgb24 | ffplay -f rawvideo
    -pixel_format rgb24 -video_size 1280x720 -[/bold]
    """
    setup_logging(verbose)
    # here, as they need PyAV
    from ..live import LiveMatter, LiveOptions, RawFrames, Recorder, VirtualCamera, Window, source_of
    from ..video.background import read_background
    from ..video.frame_times import parse_frame_rate, parse_seconds

    with contextlib.ExitStack() as stack:
        try:
            frame_options = frame.frame_options().replace(background=None)
            options = LiveOptions(
                frame=frame_options,
                backgrounds=[read_background(value) for value in frame.background or ()],
                mirror=mirror,
                width=width,
                height=height,
                fps=None if fps is None else float(parse_frame_rate(fps)),
                loop=loop,
                reconnect=_max_tries(reconnect),
                slots=slots,
                overlay=overlay,
                snapshots=snapshots,
            )
            options.check()
            limit_s = None if duration is None else float(parse_seconds(duration, "--duration"))
            live_source = source_of(source, width=width, height=height, fps=options.fps)
            sinks: list[Sink] = []
            if stdout is not None:
                descriptor = _reserve_stdout(stdout.value, stack)
                sinks.append(RawFrames(descriptor, stdout.value, on_message=say))
            if record is not None:
                sinks.append(Recorder(record, frame_options.output, overwrite=overwrite))
            if preview:
                sinks.append(Window())
            if virtual_camera or virtual_device is not None:
                sinks.append(VirtualCamera(virtual_device))
            if not sinks:
                raise InputError(
                    "nothing takes the frames; leave out --no-preview, or give --record FILE, --virtual-camera or "
                    "--stdout rgb24"
                )
        except InputError as error:
            fail(str(error), EXIT_USAGE)
        stack.callback(live_source.close)
        live_source.open()  # before the model is loaded, which takes longer
        matter = stack.enter_context(matte.open(engine, model, frame_options, slots=slots))
        live = LiveMatter(live_source, matter, sinks, options, recording=record, on_message=say)
        _run(live, limit_s)
    if live.report().errors:
        raise typer.Exit(EXIT_FAILED)


def _max_tries(text: str) -> int | None:
    if text.strip().lower() == "forever":
        return None
    if not text.strip().isascii() or not text.strip().isdigit():
        raise InputError(f"--reconnect is {text!r}; expected a number of tries, or forever")
    return int(text)


def _reserve_stdout(format: str, stack: contextlib.ExitStack) -> int:
    """Return a descriptor of stdout for raw frames. Until ``stack`` ends, all other output to stdout goes to stderr."""
    if sys.stdout.isatty():
        raise InputError(f"--stdout {format} writes raw frames, which a terminal cannot show; use a pipe or a file")
    sys.stdout.flush()
    descriptor = os.dup(1)
    stack.callback(os.close, descriptor)
    os.dup2(2, 1)
    stack.callback(os.dup2, descriptor, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
    return descriptor


def _run(live: LiveMatter, limit_s: float | None) -> None:
    """Run to the end and print the report.

    Ctrl-C and SIGTERM stop it in order; a second Ctrl-C stops it at once. Raises `KeyboardInterrupt` after Ctrl-C.
    A window that hangs ends the process with exit code 1, after recordings are complete.
    """
    from ..live import WindowWatchdog  # here, as it needs PyAV

    interrupted = False

    def stop(number: int, _: Any) -> None:
        nonlocal interrupted
        if number == signal.SIGINT:
            interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
        live.stop()

    def end_process() -> None:
        _print_report(live.report())
        say("Error: the window does not respond; --no-preview runs without one", style="bold red")
        os._exit(EXIT_FAILED)  # the main thread never returns from the window

    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, stop))
        stack.enter_context(WindowWatchdog(live, end_process, seconds=limit_s))
        try:
            live.run(limit_s)
        finally:
            _print_report(live.report())
    if interrupted:
        raise KeyboardInterrupt


def _print_report(report: LiveReport) -> None:
    """Print a line for the run and one for each sink."""
    if not report.frames:
        return
    reconnects = f", {report.reconnects} reconnects" if report.reconnects else ""
    say(
        f"{report.frames} frames in {report.seconds:.1f} s{reconnects}: {report.matted} matted "
        f"({report.matted / max(report.seconds, 1e-3):.1f} fps), {report.dropped} dropped; latency "
        f"{report.latency.p50_ms:.0f} ms, p95 {report.latency.p95_ms:.0f} ms"
    )
    for name, sink in report.sinks.items():
        error = f"; {sink.error}" if sink.error else ""
        say(
            f"{name}: {sink.written} frames, {sink.dropped} dropped; latency {sink.latency.p50_ms:.0f} ms, "
            f"p95 {sink.latency.p95_ms:.0f} ms{error}",
            style="bold red" if error else "",
        )
