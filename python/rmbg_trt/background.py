# SPDX-License-Identifier: Apache-2.0
"""What a composite is put over: a colour, a picture or the blurred frame, in any of the forms a user may give."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, Union

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

Color: TypeAlias = Literal["bgr", "rgb"]
BackgroundLike: TypeAlias = Union[str, tuple[int, int, int], list[int], NDArray[np.uint8], "Image"]

# The blur of a background, as a share of the frame's shorter side.
DEFAULT_BLUR = 0.02

# Pixels that a picture may have once it is scaled to cover the frame, before it is cropped.
_LARGEST_COVER = 100_000_000


@dataclass(frozen=True)
class Background:
    """A background as the core takes it.

    Attributes:
        value: None, a colour (3 bytes) or an image (H, W, 3) uint8 of the frame's size that lies where the frame does;
            in the frame's colour order.
        blur_sigma: More than 0: the frame itself, blurred with this standard deviation in pixels.
    """

    value: Any = None
    blur_sigma: float = 0.0


NO_BACKGROUND = Background()


def for_output(background: BackgroundLike | None, output: str, size: tuple[int, int], color: Color) -> Background:
    """The background that an output needs: none unless it is a composite, else what ``parse`` makes of it.

    Args:
        background: As for ``parse``.
        output: "alpha", "cutout" or "composite".
        size: Of the frame, (height, width) in pixels; a frame without pixels gets none, and is refused later.
        color: Channel order of the frame.

    Raises:
        InputError: It is no background, or the output has none.
    """
    if output != "composite":
        if background is not None:
            raise InputError(f"background= is for output='composite', not for {output!r}")
        return NO_BACKGROUND
    return parse(background, *size, color) if all(size) else NO_BACKGROUND


def parse(background: BackgroundLike | None, height: int, width: int, color: Color) -> Background:
    """Makes a background fit a frame.

    Args:
        background: "#rrggbb", a CSS colour name, "blur", "blur:RADIUS" (standard deviation in pixels), three
            numbers 0..255 in the order of ``color``, a picture (h, w, 3) uint8 in that order, or a PIL image.
            Pictures are scaled to cover the frame and cropped around their centre.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        color: Channel order of the frame.

    Raises:
        InputError: None of these.
    """
    if background is None:
        raise InputError(
            "output='composite' needs a background: '#rrggbb', a colour name, 'blur', 'blur:20', three numbers, "
            "an array (h, w, 3) or a PIL image"
        )
    if isinstance(background, str):
        return _from_text(background, height, width, color)
    if isinstance(background, np.ndarray) and background.ndim == 3:
        return Background(_cover(background, height, width))
    if is_pil(background):
        covered = _cover(np.asarray(background.convert("RGB")), height, width)
        return Background(covered if color == "rgb" else np.ascontiguousarray(covered[:, :, ::-1]))
    return Background(_three_bytes(background))


def is_pil(value: Any) -> TypeGuard[Image]:
    """Whether this is a PIL image; tells without importing PIL."""
    return hasattr(value, "getbands") and hasattr(value, "convert")


def _from_text(text: str, height: int, width: int, color: Color) -> Background:
    name, _, radius = text.strip().partition(":")
    if name.lower() == "blur":
        return Background(blur_sigma=_sigma(text, radius) if radius else max(1.0, DEFAULT_BLUR * min(height, width)))
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text.strip())[:3]
    except ValueError:
        raise InputError(
            f"background {text!r} is not a colour; expected '#rrggbb', a CSS colour name, 'blur' or 'blur:RADIUS'"
        ) from None
    return Background((red, green, blue) if color == "rgb" else (blue, green, red))


def _sigma(text: str, radius: str) -> float:
    try:
        sigma = float(radius)
    except ValueError:
        sigma = float("nan")
    if not 0 < sigma <= 1000:
        raise InputError(f"background {text!r}: the blur radius must be a number of pixels, above 0 and up to 1000")
    return sigma


def _three_bytes(value: Any) -> tuple[int, int, int]:
    try:
        numbers = [operator.index(part) for part in value]  # a share of 0..1 by mistake is refused, not made black
    except TypeError:
        numbers = []
    if len(numbers) != 3 or not all(0 <= number <= 255 for number in numbers):
        raise InputError(f"background is {value!r}; expected three numbers 0..255, a picture (h, w, 3) or a string")
    return numbers[0], numbers[1], numbers[2]


def _cover(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scales a picture (h, w, 3) to cover (height, width) and crops it around its centre."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or picture.size == 0:
        raise InputError(
            f"background has shape {picture.shape} and dtype {picture.dtype}; expected a picture (h, w, 3) uint8"
        )
    if picture.strides[0] < 0 or picture.strides[1:] != (3, 1):
        picture = np.ascontiguousarray(picture)
    if picture.shape[:2] == (height, width):
        return picture
    picture = _without_far_ends(picture, height, width)
    scale = max(height / picture.shape[0], width / picture.shape[1])
    tall = max(height, round(picture.shape[0] * scale))
    wide = max(width, round(picture.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    scaled = _core.resample(picture, (tall, wide), "lanczos")
    return scaled[top : top + height, left : left + width]


def _without_far_ends(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Cuts what an extreme shape would only scale up to throw away: a line of pixels behind a frame, for one."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    if picture.shape[0] * picture.shape[1] * scale * scale <= _LARGEST_COVER:
        return picture
    rows = min(picture.shape[0], math.ceil(16 * height / scale))
    columns = min(picture.shape[1], math.ceil(16 * width / scale))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return picture[top : top + rows, left : left + columns]
