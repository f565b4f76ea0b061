# SPDX-License-Identifier: Apache-2.0
"""One clip's way: checked before anything is opened, then decoded, matted and encoded into a file that is whole."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from ..errors import Error, InputError
from ..files import atomic_path
from ..video_matter import VideoMatter
from . import formats
from .background import Behind, as_given
from .decoder import Decoder
from .options import VideoOptions
from .pipeline import run_pipeline
from .png_sequence import PngSink, check_replaceable, sequence_folder
from .sink import FileSink, Shape, check_encoder, keeps_pixel_aspect
from .source import Source, SourceFrame

if TYPE_CHECKING:
    from ..engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: Matted so far.
        seconds: Of the clip, matted so far.
        total_s: Seconds that there are to do, as far as the file says; None if it does not.
    """

    frames: int
    seconds: float
    total_s: float | None


@dataclass(frozen=True)
class VideoResult:
    """What a job did.

    Attributes:
        target: The file, or the pattern of the files.
        frames: In it.
        seconds: That it lasts, up to the start of its last frame.
        elapsed_s: That the work took.
        damaged: Frames, or pieces of the stream, that could not be decoded and were left out.
        mended: Frames whose time was missing or fell back, and was mended.
        missing_s: Seconds at the end that the file promised and did not have.
        dropped: Streams that this kind of file cannot hold.
        lost: Packets of copied streams that the file refused.
        notes: What a user should know about the clip.
    """

    target: Path
    frames: int
    seconds: float
    elapsed_s: float
    damaged: int = 0
    mended: int = 0
    missing_s: float = 0.0
    dropped: list[str] = field(default_factory=list)
    lost: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether next to nothing is missing: the file did not end early, and nine in ten frames were sound."""
        return self.missing_s == 0 and self.damaged * 10 <= self.frames + self.damaged


class VideoJob:
    """One clip to matte.

    Args:
        path: The clip.
        target: What to write; the suffix says how, and ``FOLDER/%06d.png`` is a PNG sequence.
        options: What is made.

    Raises:
        InputError: Something is missing, in the way, or does not go together. Nothing was written.
    """

    def __init__(
        self, path: str | os.PathLike[str], target: str | os.PathLike[str], options: VideoOptions | None = None
    ) -> None:
        self.path, self.target = Path(path), Path(target)
        self.options = options or VideoOptions()
        self.options.check()
        self._background = None if self.options.background is None else as_given(self.options.background)
        self.recipe = formats.choose(
            self.target,
            self.options.kind,
            codec=self.options.codec,
            crf=self.options.crf,
            bitrate=self.options.bitrate,
            lossless=self.options.lossless,
        )
        check_encoder(self.recipe)
        self._check_paths()

    @property
    def _is_sequence(self) -> bool:
        return self.recipe.container.muxer == "image2"

    @property
    def done(self) -> bool:
        """Whether the result is there already."""
        place = self.target.parent if self._is_sequence else self.target
        return any(place.iterdir()) if self._is_sequence and place.is_dir() else place.exists()

    def _check_paths(self) -> None:
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder; give the video files in it, as {self.path}/*.mp4")
        if not self.path.exists():
            raise InputError(f"{self.path} is not there")
        for other, what in ((self.path, "input"), (self._background, "background")):
            if isinstance(other, Path) and _same(self.target, other):
                raise InputError(f"{self.target} is the {what} itself; give another name")
        if self.target.is_dir():
            raise InputError(f"{self.target} is a folder; name a file in it")
        if self._is_sequence:
            check_replaceable(self.target.parent, self.target.name)
        if self.done and not self.options.overwrite:
            place = self.target.parent if self._is_sequence else self.target
            raise InputError(f"{place} is there already; overwrite replaces it")

    def run(self, engine: VideoMatter | Engine, progress: Callable[[Progress], None] | None = None) -> VideoResult:
        """Does it.

        Args:
            engine: A `VideoMatter` made with ``color="rgb"``, which begins anew and decides how edges and flicker are
                treated; or an `Engine` made with ``color="rgb", stretch="none"``, where the options decide that.
            progress: Called after each frame.

        Raises:
            InputError: The clip cannot be read, holds no video, or changes its size; or the engine takes BGR frames.
            UnavailableError: The GPU was to decode it, and cannot.
            NetworkError: The network failed.
            Error: The result could not be written. Nothing is left of it.
        """
        begin = time.perf_counter()
        options = self.options
        matter = self._matter(engine)
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(
                Source(
                    self.path,
                    start=_fraction(options.start),
                    duration=_fraction(options.duration),
                    fps=_fraction(options.fps),
                    width=options.width,
                    height=options.height,
                    decoder=Decoder.choose(options.decoder, matter.info.device),
                )
            )
            self._tell_aspect(source)
            behind = Behind(self._background, source.size)
            stack.callback(behind.close)
            with self._sink(source) as sink:
                frames, seconds = self._matte(matter, source, behind, sink, progress)
        report = source.report
        found = report.damaged, report.mended, report.missing_s, sink.dropped, sink.lost, report.notes
        return VideoResult(self.target, frames, seconds, time.perf_counter() - begin, *found)

    def _matter(self, engine: VideoMatter | Engine) -> VideoMatter:
        """What mattes this clip, with nothing in mind of another one."""
        asked = self.options
        if isinstance(engine, VideoMatter):
            matter = engine
            matter.reset()
        else:
            matter = VideoMatter(
                engine, stabilize=asked.stabilize, refine=asked.refine, decontaminate=asked.decontaminate
            )
        if matter.engine._color != "rgb":
            raise InputError('the engine takes BGR frames; make it with color="rgb"')
        return matter

    def _tell_aspect(self, source: Source) -> None:
        aspect = source.pixel_aspect
        if aspect == 1 or keeps_pixel_aspect(self.recipe):
            return
        height, width = source.size
        source.report.note(
            f"the pixels are {aspect.numerator}:{aspect.denominator}, which {self.target.suffix} cannot say here; "
            f"give width {round(width * aspect)} and height {height} for square ones"
        )

    @contextlib.contextmanager
    def _sink(self, source: Source) -> Iterator[FileSink | PngSink]:
        """The file while it is written; it appears when the block ends well, and not at all when it does not."""
        streams = [each for each in source.file.copied_streams if self.options.audio or each.type != "audio"]
        shape = Shape(
            source.size,
            source.time_base,
            source.rate,
            source.color,
            source.pixel_aspect,
            streams,
            source.file.tags,
            source.file.chapters,
        )
        with contextlib.ExitStack() as stack:
            sink: FileSink | PngSink
            if self._is_sequence:
                folder = stack.enter_context(sequence_folder(self.target.parent, self.target.name))
                sink = PngSink(folder, self.target.name, shape)
            else:
                sink = FileSink(stack.enter_context(atomic_path(self.target)), self.recipe, shape)
            try:
                yield sink
                sink.finish()
            except av.FFmpegError as error:
                sink.abandon()
                raise Error(f"{self.target} could not be written: {error.strerror}") from error
            except BaseException:
                sink.abandon()
                raise

    def _matte(
        self,
        matter: VideoMatter,
        source: Source,
        behind: Behind,
        sink: FileSink | PngSink,
        progress: Callable[[Progress], None] | None,
    ) -> tuple[int, float]:
        """Runs the stages; returns the number of frames, and the seconds from the first to the last."""
        kind, base = self.options.kind, source.time_base
        frames, first, last = 0, 0, 0

        def with_background() -> Iterator[tuple[SourceFrame, Any]]:
            start: int | None = None
            for frame in source.frames():
                start = frame.pts if start is None else start
                yield frame, behind.at((frame.pts - start) * base)

        def submit(item: tuple[SourceFrame, Any]) -> Any:  # in the order of the frames, from this thread alone
            return matter.submit(item[0].pixels, output=kind, background=item[1])

        def write(item: tuple[SourceFrame, Any], result: Any) -> None:
            frame = item[0]
            for packet in frame.packets:
                sink.copy(packet)
            for turn in range(frame.count):
                sink.write(result, frame.pts + turn * frame.duration, frame.duration)

        def tell(item: tuple[SourceFrame, Any]) -> None:
            nonlocal frames, first, last
            frame = item[0]
            first = last = frame.pts if frames == 0 else first
            last = frame.pts + (frame.count - 1) * frame.duration
            frames += frame.count
            if progress is not None:
                progress(Progress(frames, float((last - first) * base), source.file.length_s))

        run_pipeline(with_background(), submit, write, slots=matter.info.slots, progress=tell)
        for packet in source.file.packets():
            sink.copy(packet)
        return frames, float((last - first) * base)


def _fraction(value: Fraction | float | None) -> Fraction | None:
    """As exact as it was meant: 0.1 is a tenth."""
    return None if value is None else value if isinstance(value, Fraction) else Fraction(str(value))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.exists() and one.samefile(other)
    except OSError:
        return False
