# SPDX-License-Identifier: Apache-2.0
"""The options of one frame, for everything that mattes frames: engine, video, camera, command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, Unpack

from .background import BackgroundLike

Output: TypeAlias = Literal["alpha", "cutout", "composite"]
Nv12: TypeAlias = Literal["bt601", "bt709", "bt601-full", "bt709-full"]


@dataclass(frozen=True)
class FrameOptions:
    """What to make of a frame.

    Attributes:
        output: "alpha", "cutout" (the frame's colours with alpha) or "composite" (over ``background``).
        background: For a composite: "#rrggbb", a CSS colour name, "blur", "blur:RADIUS" (standard deviation in
            pixels), three numbers 0..255, an image (h, w, 3) uint8, or a PIL image. Images are scaled to cover the
            frame and cropped. Numbers and arrays are in the engine's colour order. For a frame on the GPU an image
            must lie there too, and have the frame's size.
        premultiplied: Multiply a cutout's colours by its alpha. The default is straight alpha.
        nv12: The frame is NV12, as video decoders give it: (height * 3/2, width) uint8, luma above the chroma's
            rows, height and width even. The value is its matrix and range: "bt709" (HD), "bt601" (SD), or
            "bt709-full", "bt601-full". Results have the luma's height, and colours in the engine's order.
        refine: Let alpha follow the frame's colours, so that hair and edges are as fine as the frame, and not as the
            network's input. Of use for frames well above the network's size.
        decontaminate: Give the edge of a cutout or composite the subject's own colours, without those of the old
            background, which show as a halo over a new one.
    """

    output: Output = "alpha"
    background: BackgroundLike | None = None
    premultiplied: bool = False
    nv12: Nv12 | None = None
    refine: bool = False
    decontaminate: bool = False

    def replace(self, **changes: Unpack[FrameKeywords]) -> FrameOptions:
        """These options with some of them changed."""
        return FrameOptions(**{**self.__dict__, **changes}) if changes else self


class FrameKeywords(TypedDict, total=False):
    """The fields of `FrameOptions` as keyword arguments."""

    output: Output
    background: BackgroundLike | None
    premultiplied: bool
    nv12: Nv12 | None
    refine: bool
    decontaminate: bool
