# SPDX-License-Identifier: Apache-2.0
"""The options of a video job."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..errors import InputError
from ..options import Output
from .decoder import Decoder

_LARGEST_SIDE = 16384


@dataclass(frozen=True)
class VideoOptions:
    """What to make of a clip, and how to write it.

    Attributes:
        output: "cutout" (transparent), "composite" (over ``background``) or "alpha"; None is a composite if there is a
            background, otherwise a cutout.
        background: For a composite: what `Engine.run` takes, or the path of an image or a video. Images and videos
            are scaled to cover the frame and cropped; a video starts again at its end.
        codec: "h264", "hevc", "vp9", "prores", "ffv1", "webp" or "png"; None chooses one that suits the file.
        crf: Constant quality; smaller is better.
        bitrate: Bits per second, such as "4M"; instead of ``crf``.
        lossless: Encode without loss, if the codec can.
        start: Seconds after the first frame to begin at.
        duration: Seconds to work on.
        fps: A constant frame rate; None keeps the frames' own times.
        width: Of the result in pixels; None follows the height.
        height: Of the result in pixels; None follows the width.
        decoder: "cpu"; "cuda", an NVIDIA GPU or an error; "auto", the engine's GPU if it can decode the clip,
            otherwise the processor.
        audio: Copy the sound.
        overwrite: Replace an existing result.
        refine: Let alpha follow the frame's colours, for hair and edges as fine as the frame.
        decontaminate: Remove the old background's colour from the edges.
        stabilize: Reduce flicker from frame to frame.
    """

    output: Output | None = None
    background: Any = None
    codec: str | None = None
    crf: int | None = None
    bitrate: str | None = None
    lossless: bool = False
    start: Fraction | float | None = None
    duration: Fraction | float | None = None
    fps: Fraction | float | None = None
    width: int | None = None
    height: int | None = None
    decoder: str = "auto"
    audio: bool = True
    overwrite: bool = False
    refine: bool = True
    decontaminate: bool = True
    stabilize: bool = True

    @property
    def kind(self) -> Output:
        """The output, with None resolved."""
        return self.output or ("cutout" if self.background is None else "composite")

    def check(self) -> None:
        """Raises `InputError` if a value makes no sense for any clip."""
        if self.kind not in ("alpha", "cutout", "composite"):
            raise InputError(f"the output is {self.output!r}; expected 'alpha', 'cutout' or 'composite'")
        if self.kind == "composite" and self.background is None:
            raise InputError("a composite needs a background: a colour, an image, a video, blur or blur:RADIUS")
        if self.kind != "composite" and self.background is not None:
            raise InputError(f"a background is for a composite; leave it out for output {self.kind!r}")
        Decoder.choose(self.decoder, "cpu")
        if self.start is not None and self.start < 0:
            raise InputError(f"the start is {self.start} s; expected 0 or more")
        if self.duration is not None and self.duration <= 0:
            raise InputError(f"the duration is {self.duration} s; expected more than 0")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"the frame rate is {self.fps}; expected more than 0, up to 1000")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= _LARGEST_SIDE:
                raise InputError(f"the {name} is {side}; expected 1 to {_LARGEST_SIDE} pixels")
