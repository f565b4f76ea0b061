# SPDX-License-Identifier: Apache-2.0
"""The options of a video job."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, Unpack

from ..errors import InputError
from ..options import FrameKeywords, FrameOptions
from .decoder import Decoder

_LARGEST_SIDE = 16384
_FRAME = FrameOptions(output="cutout", refine=True, decontaminate=True)


class VideoKeywords(FrameKeywords, total=False):
    """The fields of `FrameOptions` and `VideoOptions` as keyword arguments."""

    codec: str | None
    crf: int | None
    bitrate: str | None
    lossless: bool
    preset: str | None
    start: Fraction | float | None
    duration: Fraction | float | None
    fps: Fraction | float | None
    width: int | None
    height: int | None
    decoder: str
    deinterlace: bool
    tone_map: bool
    audio: bool
    overwrite: bool
    stabilize: bool


@dataclass(frozen=True)
class VideoOptions:
    """What to make of a clip, and how to write it.

    Attributes:
        frame: What to make of each frame. Its ``background`` may also be the path of an image or a video. Images and
            videos are scaled to cover the frame and cropped; a video starts again at its end.
        codec: "h264", "hevc", "av1", "vp9", "prores", "ffv1", "webp" or "png"; None chooses one that suits the file.
        crf: Constant quality; smaller is better.
        bitrate: Bits per second, such as "4M"; instead of ``crf``.
        lossless: Encode without loss, if the codec can.
        preset: The encoder's speed: "ultrafast" to "placebo" for h264 and hevc, "13" (fastest) to "0" for av1.
        start: Seconds after the first frame to begin at.
        duration: Seconds to work on.
        fps: A constant frame rate; None keeps the frames' own times.
        width: Of the result in pixels; None follows the height.
        height: Of the result in pixels; None follows the width.
        decoder: "cpu"; "cuda", an NVIDIA GPU or an error; "auto", the engine's GPU if it can decode the clip,
            otherwise the processor.
        deinterlace: Make interlaced frames progressive, one frame for each.
        tone_map: Convert HDR (PQ or HLG) to SDR (BT.709), for the network and in the result.
        audio: Copy the sound.
        overwrite: Replace an existing result.
        stabilize: Reduce flicker from frame to frame.
    """

    frame: FrameOptions = _FRAME
    codec: str | None = None
    crf: int | None = None
    bitrate: str | None = None
    lossless: bool = False
    preset: str | None = None
    start: Fraction | float | None = None
    duration: Fraction | float | None = None
    fps: Fraction | float | None = None
    width: int | None = None
    height: int | None = None
    decoder: str = "auto"
    deinterlace: bool = True
    tone_map: bool = False
    audio: bool = True
    overwrite: bool = False
    stabilize: bool = True

    @classmethod
    def of(cls, **options: Unpack[VideoKeywords]) -> VideoOptions:
        """Makes them from keywords. Without ``output`` it is a composite if there is a background, else a cutout."""
        rest: dict[str, Any] = {**options}
        frame: Any = {name: rest.pop(name) for name in FrameKeywords.__annotations__ if name in rest}
        if frame.get("output") is None:
            frame["output"] = "cutout" if frame.get("background") is None else "composite"
        return cls(_FRAME.replace(**frame), **rest)

    def check(self) -> None:
        """Raises `InputError` if a value makes no sense for any clip."""
        check_frame(self.frame, has_background=self.frame.background is not None)
        Decoder.choose(self.decoder, "cpu")
        check_number("start", self.start, "a number of seconds")
        check_number("duration", self.duration, "a number of seconds")
        if self.start is not None and self.start < 0:
            raise InputError(f"the start is {self.start} s; expected 0 or more")
        if self.duration is not None and self.duration <= 0:
            raise InputError(f"the duration is {self.duration} s; expected more than 0")
        check_rate_and_size(self.fps, self.width, self.height)


def check_frame(frame: FrameOptions, *, has_background: bool) -> None:
    """Raises `InputError` for options of frames that no job can work with."""
    output = frame.output
    if output not in ("alpha", "cutout", "composite"):
        raise InputError(f"the output is {output!r}; expected 'alpha', 'cutout' or 'composite'")
    if output == "composite" and not has_background:
        raise InputError("a composite needs a background: a colour, an image, a video, blur or blur:RADIUS")
    if output != "composite" and has_background:
        raise InputError(f"a background only applies to a composite; leave it out for output {output!r}")
    if output != "cutout" and frame.premultiplied:
        raise InputError(f"premultiplied only applies to a cutout; leave it out for output {output!r}")
    if frame.nv12 is not None:
        raise InputError("nv12 is for frames that you give to an engine yourself; leave it out")


def check_number(name: str, value: Any, expected: str) -> None:
    """Raises `InputError` unless a value is None or a finite number."""
    if value is not None and not (isinstance(value, Real) and math.isfinite(value)):
        raise InputError(f"the {name} is {value!r}; expected {expected}")


def check_rate_and_size(fps: Fraction | float | None, width: int | None, height: int | None) -> None:
    """Raises `InputError` for what no result can have."""
    check_number("frame rate", fps, "a number")
    if fps is not None and not 0 < fps <= 1000:
        raise InputError(f"the frame rate is {fps}; expected more than 0, up to 1000")
    for name, side in (("width", width), ("height", height)):
        if side is not None and not isinstance(side, Integral):
            raise InputError(f"the {name} is {side!r}; expected a whole number of pixels")
        if side is not None and not 1 <= side <= _LARGEST_SIDE:
            raise InputError(f"the {name} is {side}; expected 1 to {_LARGEST_SIDE} pixels")


def frame_options_with(matter: Any, frame: FrameOptions) -> FrameOptions:
    """A job's options of frames, but ``refine`` and ``decontaminate`` as the matter has them, where it has options."""
    own = getattr(matter, "options", frame)
    return frame.replace(refine=own.refine, decontaminate=own.decontaminate)
