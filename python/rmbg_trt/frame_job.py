# SPDX-License-Identifier: Apache-2.0
"""One frame's way into the core and its result's way out: what users may give as a frame, and what they get back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from . import _core
from . import background as backgrounds
from .background import BackgroundLike, Color
from .errors import InputError

Output: TypeAlias = Literal["alpha", "cutout", "composite"]
Array: TypeAlias = NDArray[np.uint8]

_CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}
_PIL_MODES = {"alpha": "L", "cutout": "RGBA", "composite": "RGB"}


@dataclass(frozen=True)
class Quality:
    """What is done beyond the reference recipe.

    Attributes:
        refine: Alpha follows the frame's colours.
        decontaminate: A cutout and a composite show the subject's own colours at its edge.
        track: What is carried over from the frame before, if anything.
    """

    refine: bool = False
    decontaminate: bool = False
    track: _core.Track | None = None


RECIPE = Quality()  # nothing beyond it


@dataclass(frozen=True)
class FrameJob:
    """One frame, ready for the core.

    Attributes:
        arguments: Of ``_core.Pipeline.run`` and ``submit``; the second is the result array.
        output: What is made.
        pil: Whether the frame was a PIL image, and the result is to be one.
    """

    arguments: tuple[Any, ...]
    output: Output
    pil: bool

    def result(self) -> Any:
        """The result as the user gets it; to be called when the core has finished."""
        array = self.arguments[1]
        if not self.pil:
            return array
        from PIL import Image

        return Image.fromarray(array, _PIL_MODES[self.output])


def make_job(
    frame: Any,
    color: Color,
    *,
    output: Output,
    background: BackgroundLike | None,
    premultiplied: bool,
    out: Array | None,
    nv12: str | None = None,
    quality: Quality = RECIPE,
) -> FrameJob:
    """Checks what a user gives and lays it out for the core; the arguments are those of ``Engine.run``.

    Raises:
        InputError: Something is not what it should be. Shapes and strides are checked by the core.
    """
    if not isinstance(output, str) or output not in _CHANNELS:
        raise InputError(f"output is {output!r}; expected 'alpha', 'cutout' or 'composite'")
    pil = backgrounds.is_pil(frame)
    if pil:
        color = "rgb"
    if pil and nv12 is not None:
        raise InputError("nv12= is for frames of a video decoder, not for PIL images")
    if pil and out is not None:
        raise InputError("out= is not for PIL images; give a NumPy array as frame")
    array = _from_pil(frame) if pil else _from_array(frame)
    height, width = picture_size(array.shape, nv12)
    over = backgrounds.for_output(background, output, (height, width), color)
    if out is None:
        channels = _CHANNELS[output]
        out = np.empty((height, width) if channels == 1 else (height, width, channels), np.uint8)
    elif not isinstance(out, np.ndarray):
        raise InputError(f"out is {type(out).__name__}; expected a NumPy array of uint8")
    asked = (quality.refine, quality.decontaminate, quality.track)
    arguments = (array, out, color, output, bool(premultiplied), over.value, over.blur_sigma, nv12 or "", *asked)
    return FrameJob(arguments, output, pil)


def picture_size(shape: tuple[int, ...], nv12: str | None) -> tuple[int, int]:
    """(height, width) of the picture in an array of this shape; (0, 0) where it is none."""
    height, width = shape[:2] if len(shape) >= 2 else (0, 0)
    return height // 3 * 2 if nv12 else height, width


def _from_pil(image: Any) -> Array:
    """A PIL image as (H, W), (H, W, 3) or (H, W, 4) uint8 RGB; transparency in any form becomes alpha."""
    if image.mode in ("L", "RGB", "RGBA"):
        return np.asarray(image)
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))


def _from_array(frame: Any) -> Array:
    """A NumPy array as it is; another array on the CPU through DLPack, without a copy."""
    if isinstance(frame, np.ndarray):
        return frame
    if _core.lies_on_gpu(frame):
        raise InputError(
            "the frame lies on a GPU and this engine runs on the CPU; give it device='cuda', or bring the frame here"
        )
    if hasattr(frame, "__dlpack_device__"):
        kind = int(frame.__dlpack_device__()[0])
        if kind == 1:
            return cast(Array, np.from_dlpack(frame))
        raise InputError(f"the frame is on another device (DLPack type {kind}) and this engine runs on the CPU")
    if hasattr(frame, "__array__"):
        return np.asarray(frame)
    raise InputError(f"frame is {type(frame).__name__}; expected a NumPy array (H, W, 3) uint8 or a PIL image")
