# SPDX-License-Identifier: Apache-2.0
"""Options, and their checks. Those of a frame are the same for engine, video, camera and command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from . import _core
from .background import BackgroundLike
from .errors import InputError

Filter: TypeAlias = Literal["lanczos", "bilinear", "area"]
Stretch: TypeAlias = Literal["minmax", "none"]  # or (low, high)
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


def check_stretch(stretch: Any) -> dict[str, Any]:
    """The stretch of mattes as arguments of ``_core.Pipeline``; raises `InputError` for what is none."""
    if stretch == "minmax":
        return {"stretch": "minmax"}
    if stretch == "none":
        return {"stretch": "fixed", "range": (0.0, 1.0)}
    try:
        low, high = (float(end) for end in stretch)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if isinstance(stretch, str) or not 0 <= low < high <= 1:
        raise InputError(f"stretch is {stretch!r}; expected 'minmax', 'none' or (low, high) with 0 <= low < high <= 1")
    return {"stretch": "fixed", "range": (low, high)}


def check_refine(network: _core.Network) -> None:
    """Raises `InputError` for a network whose output is not as large as its input."""
    (height, width), (out_height, out_width) = network.input.shape[2:], network.output.shape[2:]
    if (height, width) != (out_height, out_width):
        raise InputError(
            f"refine needs a network whose output is as large as its input; this one makes {out_width}x{out_height} of "
            f"{width}x{height}; leave refine out"
        )
