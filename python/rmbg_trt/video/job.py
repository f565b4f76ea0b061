# SPDX-License-Identifier: Apache-2.0
"""Mattes one clip: checks options and paths, then decodes, mattes and encodes into a file that is whole or absent."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Unpack

import av

from ..engine import Engine
from ..errors import Error, InputError
from ..files import atomic_path
from ..video_matter import VideoMatter, VideoStretch
from .background import BackgroundSource, read_background
from .decoder import Decoder
from .deep import DeepFinisher
from .formats import OutputFormat, choose_format
from .frame_times import exact
from .location import Location, is_same_file
from .options import VideoKeywords, VideoOptions, frame_options_with
from .pipeline import run_pipeline
from .png_sequence import PngSink, check_replaceable, sequence_folder
from .report import Progress, VideoResult
from .sink import FileSink, Sink, StreamInfo, keeps_pixel_aspect
from .source import Source, SourceFrame

_MATTER_OPTIONS = ("refine", "decontaminate", "stabilize")


def matte_video(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    engine: VideoMatter | Engine | None = None,
    model: str | os.PathLike[str] = "u2net",
    device: str = "auto",
    stretch: VideoStretch | tuple[float, float] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[VideoKeywords],
) -> VideoResult:
    """Removes the background from a clip.

    Args:
        path: The clip, in any format that FFmpeg reads: a file, a URL, a sequence of images such as ``f_%03d.png``
            (with the frame rate ``fps``, or 25), or ``-`` for standard input.
        target: The file to write. ``.mov`` (ProRes 4444), ``.webm`` (VP9), ``.mkv`` (FFV1), ``.webp`` and
            ``FOLDER/%06d.png`` can be transparent; ``.mp4`` cannot.
        engine: A `VideoMatter` made with ``color="rgb"``, which is reset first; or an `Engine` made with
            ``color="rgb"`` and, against flicker, ``stretch="none"``. None makes one, and closes it.
        model: As for `Engine`, if none is given.
        device: As for `Engine`, if none is given.
        stretch: As for `VideoMatter`.
        progress: Called after each frame.
        **options: The fields of `FrameOptions` and `VideoOptions`. Without ``output`` the result is a composite if
            there is a background, else a cutout.

    Returns:
        What was done, and what was found on the way; ``complete`` tells whether the clip could be read almost whole.

    Raises:
        InputError: An option is wrong, or the clip cannot be read; nothing was written.
        Error: As for `Engine`, or the result could not be written; nothing is left of it.

    Example:
        >>> matte_video("talk.mp4", "office.mp4", background="office.jpg")
    """
    try:
        job = VideoJob(path, target, VideoOptions.of(**options))
    except TypeError as error:
        raise InputError(f"{error}; the options are those of VideoOptions and FrameOptions") from None
    if isinstance(engine, VideoMatter):
        decided = [name for name in _MATTER_OPTIONS if name in options] + ["stretch"] * (stretch is not None)
        if decided:
            raise InputError(
                f"{', '.join(decided)}: the given VideoMatter decides that; give it to VideoMatter() instead"
            )
        return job.run(engine, progress)
    of_engine: dict[str, Any] = {"device": device, "color": "rgb"} if engine is None else {}
    with job.matter_for(model if engine is None else engine, stretch=stretch, **of_engine) as matter:
        return job.run(matter, progress)


class VideoJob:
    """One clip to matte.

    Args:
        path: The clip, as for `matte_video`.
        target: The file to write; its suffix decides the format, and ``FOLDER/%06d.png`` is a PNG sequence.
        options: What to make of it.

    Raises:
        InputError: A file is missing or in the way, or the options do not go together. Nothing was written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Location,
        target: str | os.PathLike[str],
        options: VideoOptions | None = None,
    ) -> None:
        self.location, self.target = Location.of(path), Path(target)
        self.options = options = options or VideoOptions()
        options.check()
        background = options.frame.background
        self._background = None if background is None else read_background(background)
        self._format = choose_format(self.target, options)
        self._is_sequence = self._format.container.muxer == "image2"
        self._place = self.target.parent if self._is_sequence else self.target
        self._check_paths()

    @property
    def done(self) -> bool:
        """Whether the result already exists."""
        return any(self._place.iterdir()) if self._is_sequence and self._place.is_dir() else self._place.exists()

    def _check_paths(self) -> None:
        self.location.check()
        for other, name in ((self.location.path, "input"), (self._background, "background")):
            if isinstance(other, Path) and is_same_file(self.target, other):
                raise InputError(f"{self.target} is the {name} itself; give another name")
        if self.location.kind == "sequence" and is_same_file(self._place, Path(self.location.text).parent):
            raise InputError(f"{self._place} holds the input itself; give another folder")
        if self.target.is_dir():
            raise InputError(f"{self.target} is a folder; name a file in it")
        if self._is_sequence:
            check_replaceable(self.target.parent, self.target.name)
        if self.done and not self.options.overwrite:
            raise InputError(f"{self._place} already exists; use overwrite to replace it")

    def run(self, engine: VideoMatter | Engine, progress: Callable[[Progress], None] | None = None) -> VideoResult:
        """Mattes the clip.

        Args:
            engine: A `VideoMatter` made with ``color="rgb"``, which is reset first, and whose own options hold; or an
                `Engine` made with ``color="rgb", stretch="none"``, used with the job's options.
            progress: Called after each frame.

        Raises:
            InputError: The clip cannot be read, contains no video, or changes its size; or the engine takes BGR frames.
            UnavailableError: The GPU must decode the clip, and cannot.
            NetworkError: The network failed.
            Error: The result could not be written. Nothing is left of it.
        """
        begin = time.perf_counter()
        options = self.options
        matter = engine if isinstance(engine, VideoMatter) else self.matter_for(engine)
        matter.reset()
        if matter.engine._color != "rgb":
            raise InputError('the engine takes BGR frames; make it with color="rgb"')
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(
                Source(
                    self.location,
                    start=exact(options.start),
                    duration=exact(options.duration),
                    fps=exact(options.fps),
                    width=options.width,
                    height=options.height,
                    decoder=Decoder.choose(options.decoder, matter.info.device),
                    deinterlace=options.deinterlace,
                    tone_map=options.tone_map,
                )
            )
            self._note_pixel_aspect(source)
            background = stack.enter_context(contextlib.closing(BackgroundSource(self._background, source.size)))
            output_format = self._format_for(source)
            with self._open_sink(source, output_format) as sink:
                frames, seconds = self._run_stages(matter, source, background, sink, progress)
        elapsed_s = time.perf_counter() - begin
        return VideoResult(
            self.target, frames, seconds, elapsed_s, dropped=sink.dropped, lost=sink.lost, **vars(source.report)
        )

    def matter_for(self, model: Any, **options: Any) -> VideoMatter:
        """A matter with the job's options; the arguments are those of `VideoMatter`."""
        frame, stabilize = self.options.frame, self.options.stabilize
        return VideoMatter(
            model, refine=frame.refine, decontaminate=frame.decontaminate, stabilize=stabilize, **options
        )

    def _note_pixel_aspect(self, source: Source) -> None:
        aspect = source.pixel_aspect
        if aspect == 1 or keeps_pixel_aspect(self._format):
            return
        height, width = source.size
        source.report.note(
            f"the pixels have the aspect ratio {aspect.numerator}:{aspect.denominator}, which {self.target.suffix} "
            f"cannot store here; give width {round(width * aspect)} and height {height} for square ones"
        )

    def _format_for(self, source: Source) -> OutputFormat:
        """Adapts the format to a clip, says what is lost, and makes the source keep what is needed."""
        bits = 8 if self.options.frame.premultiplied else source.bits  # the deep colors are straight
        output_format, lost = self._format.for_source(source.size, source.chroma, bits, source.hdr_metadata)
        if bits != source.bits:
            lost.append("a premultiplied result has 8 bits a channel")
        for note in lost:
            source.report.note(note)
        source.keep_depth = output_format.deep
        return output_format

    @contextlib.contextmanager
    def _open_sink(self, source: Source, output_format: OutputFormat) -> Iterator[Sink]:
        """Opens the result; it appears when the block ends without an error, and not at all otherwise."""
        file = source.file
        streams = [stream for stream in file.copied_streams if self.options.audio or stream.type != "audio"]
        about_frames = (
            source.size,
            source.time_base,
            source.rate,
            source.color,
            source.pixel_aspect,
            source.hdr_metadata,
        )
        timecode = file.timecode(source.rate)
        if timecode == "":
            source.report.note("the time code is left out, because it does not fit the frame rate")
        info = StreamInfo(
            *about_frames, streams=streams, tags=file.tags, timecode=timecode or "", chapters=file.chapters
        )
        with contextlib.ExitStack() as stack:
            sink: Sink
            if self._is_sequence:
                folder = stack.enter_context(sequence_folder(self.target.parent, self.target.name))
                sink = PngSink(folder, self.target.name, info)
            else:
                sink = FileSink(stack.enter_context(atomic_path(self.target)), output_format, info)
            try:
                yield sink
                sink.finish()
            except av.FFmpegError as error:
                sink.abandon()
                raise Error(f"{self.target} could not be written: {error.strerror}") from error
            except BaseException:
                sink.abandon()
                raise

    def _run_stages(
        self,
        matter: VideoMatter,
        source: Source,
        background: BackgroundSource,
        sink: Sink,
        progress: Callable[[Progress], None] | None,
    ) -> tuple[int, float]:
        """Decodes, mattes and encodes; returns the number of frames, and the seconds from the first to the last."""
        base = source.time_base
        options = frame_options_with(matter, self.options.frame)
        finisher = DeepFinisher(options.output, source.color.transfer)
        deep_options = options.replace(output="cutout", background=None)
        frames, first, last = 0, 0, 0

        def with_background() -> Iterator[tuple[SourceFrame, Any]]:
            start: int | None = None
            for frame in source.frames():
                start = frame.pts if start is None else start
                yield frame, background.at((frame.pts - start) * base)

        def submit(item: tuple[SourceFrame, Any]) -> Any:  # always from one thread, as the order of frames matters
            frame, behind = item
            return matter.submit(
                frame.pixels, options=options.replace(background=behind) if frame.deep is None else deep_options
            )

        def write(item: tuple[SourceFrame, Any], result: Any) -> None:
            frame, behind = item
            for packet in frame.packets:
                sink.copy(packet)
            if frame.deep is not None:
                result = finisher.finish(result, frame.pixels, frame.deep, behind)
            for repeat in range(frame.count):
                sink.write(result, frame.pts + repeat * frame.duration, frame.duration)

        def on_matted(item: tuple[SourceFrame, Any]) -> None:
            nonlocal frames, first, last
            frame = item[0]
            first = frame.pts if frames == 0 else first
            last = frame.pts + (frame.count - 1) * frame.duration
            frames += frame.count
            if progress is not None:
                progress(Progress(frames, float((last - first) * base), source.file.length_s))

        run_pipeline(with_background(), submit, write, slots=matter.info.slots, progress=on_matted)
        for packet in source.file.packets():
            sink.copy(packet)
        return frames, float((last - first) * base)
