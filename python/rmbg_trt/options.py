# SPDX-License-Identifier: Apache-2.0
"""Options and their checks. Engine, video, camera and command line share the options of a frame."""

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
    """The options of a frame.

    Attributes:
        output: "alpha", "cutout" (the frame's colours with alpha) or "composite" (over ``background``).
        background: For a composite: "#rrggbb", a CSS colour name, "blur", "blur:RADIUS" (standard deviation in
            pixels), three numbers 0..255, an image (h, w, 3) uint8, or a PIL image. Images are scaled to cover the
            frame and cropped. Numbers and arrays are in the engine's colour order, RGB for a PIL frame. Colours mean
            sRGB: for a PIL frame with a colour profile they are converted into it. For a frame on the GPU, an image
            must be on the same GPU and have the frame's size.
        premultiplied: Multiply a cutout's colours by its alpha. The default is straight alpha.
        nv12: The frame is NV12, the format of video decoders: (height * 3/2, width) uint8, luma rows above chroma
            rows, height and width even. The value is its matrix and range: "bt709" (HD), "bt601" (SD), or
            "bt709-full", "bt601-full". Results have the luma's height, and colours in the engine's order.
        refine: Refine alpha with the frame's colours, so that hair and edges have the frame's resolution instead of the
            network's. Useful for frames much larger than the network's input.
        decontaminate: Remove the old background's colours from the edge of a cutout or composite, where they would
            show as a halo over a new background.
    """

    output: Output = "alpha"
    background: BackgroundLike | None = None
    premultiplied: bool = False
    nv12: Nv12 | None = None
    refine: bool = False
    decontaminate: bool = False

    def replace(self, **changes: Unpack[FrameKeywords]) -> FrameOptions:
        """These options with some of them changed."""
        if not changes:
            return self
        fields = {**self.__dict__, **changes}
        if len(fields) > len(self.__dict__):
            return FrameOptions(**fields)  # which raises the error for a name that is no field
        new = object.__new__(FrameOptions)  # a microsecond less of each call than the constructor takes
        new.__dict__.update(fields)
        return new


class FrameKeywords(TypedDict, total=False):
    """The fields of `FrameOptions` as keyword arguments."""

    output: Output
    background: BackgroundLike | None
    premultiplied: bool
    nv12: Nv12 | None
    refine: bool
    decontaminate: bool


def check_stretch(stretch: Any) -> dict[str, Any]:
    """The stretch of mattes as arguments of ``_core.Pipeline``. Raises `InputError` if it is invalid."""
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


def check_refine(network: _core.Network | _core.Pipeline) -> None:
    """Raises `InputError` if a network's output is not as large as its input."""
    (height, width), (out_height, out_width) = network.input.shape[2:], network.output.shape[2:]
    if (height, width) != (out_height, out_width):
        raise InputError(
            f"refine needs a network whose output is as large as its input; this one maps "
            f"{width}x{height} to {out_width}x{out_height}; leave refine out"
        )
