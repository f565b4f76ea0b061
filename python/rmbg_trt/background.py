# SPDX-License-Identifier: Apache-2.0
"""The background of a composite: a colour, an image or the blurred frame, in any form a user may pass."""

from __future__ import annotations

import math
import operator
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, Union

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import InputError
from .image import convert_color, convert_pixels, load_pil

if TYPE_CHECKING:
    from PIL.Image import Image

Color: TypeAlias = Literal["bgr", "rgb"]
# A path is for video jobs; `Engine.run` takes none.
BackgroundLike: TypeAlias = Union[str, os.PathLike[str], tuple[int, int, int], list[int], NDArray[np.uint8], "Image"]

# Standard deviation of the default blur, as a fraction of the frame's shorter side.
DEFAULT_BLUR = 0.02

# Largest number of pixels of an image that was scaled to cover the frame, before it is cropped.
_LARGEST_COVER = 100_000_000


@dataclass(frozen=True)
class Background:
    """The core's form of a background.

    Attributes:
        value: None, a colour (3 bytes) or an image (H, W, 3) uint8 of the frame's size and on its device; in the
            frame's colour order.
        blur_sigma: If above 0, the background is the frame, blurred with this standard deviation in pixels.
    """

    value: Any = None
    blur_sigma: float = 0.0


NO_BACKGROUND = Background()


def for_output(background: BackgroundLike | None, output: str, size: tuple[int, int], color: Color) -> Background:
    """The background for an output: from ``parse`` for a composite, otherwise none.

    Args:
        background: As for ``parse``.
        output: "alpha", "cutout" or "composite".
        size: (height, width) of the frame in pixels; a frame without pixels gets none, and is refused later.
        color: Channel order of the frame.

    Raises:
        InputError: The background is invalid, or the output does not use one.
    """
    if output != "composite":
        if background is not None:
            raise InputError(f"background= is for output='composite', not for {output!r}")
        return NO_BACKGROUND
    return parse(background, *size, color) if all(size) else NO_BACKGROUND


def parse(background: BackgroundLike | None, height: int, width: int, color: Color) -> Background:
    """Converts a background to fit a frame.

    Args:
        background: "#rrggbb", a CSS colour name, "blur", "blur:RADIUS" (standard deviation in pixels), three
            numbers 0..255 in the order of ``color``, an image (h, w, 3) uint8 in that order, or a PIL image, which is
            turned upright and converted to sRGB. Images are scaled to cover the frame and cropped around their centre.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        color: Channel order of the frame.

    Raises:
        InputError: The background is none of these.
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
        covered = _cover(_from_pil(background), height, width)
        return Background(covered if color == "rgb" else np.ascontiguousarray(covered[:, :, ::-1]))
    return Background(_three_bytes(background))


def in_profile(background: BackgroundLike | None, profile: bytes | None) -> BackgroundLike | None:
    """A background for a frame with a colour profile: its colours become the frame's values for the same colours.

    Args:
        background: As for ``parse``, in RGB order. Colours and arrays are sRGB; a PIL image has its own profile, or is
            sRGB.
        profile: The RGB profile of the frame; None is sRGB.

    Returns:
        Three numbers, an image (h, w, 3), or the background itself where nothing changes.

    Raises:
        InputError: The background is invalid.
    """
    if background is None:
        return None
    if is_pil(background):
        return _from_pil(background, profile)
    if profile is None:
        return background
    if isinstance(background, np.ndarray) and background.ndim == 3:
        _check_image(background)
        return convert_pixels(background, None, profile, "the background")
    parsed = parse(background, 1, 1, "rgb")
    return convert_color(parsed.value, profile) if isinstance(parsed.value, tuple) else background


def is_pil(value: Any) -> TypeGuard[Image]:
    """Whether this is a PIL image; does not import PIL."""
    return hasattr(value, "getbands") and hasattr(value, "convert")


def _from_text(text: str, height: int, width: int, color: Color) -> Background:
    name, _, radius = text.strip().partition(":")
    if name.lower() == "blur":
        return Background(blur_sigma=_sigma(text, radius) if radius else max(1.0, DEFAULT_BLUR * min(height, width)))
    from PIL import ImageColor

    try:
        red, green, blue, *alpha = ImageColor.getrgb(text.strip())
    except ValueError:
        raise InputError(
            f"background {text!r} is not a colour; expected '#rrggbb', a CSS colour name, 'blur' or 'blur:RADIUS'"
        ) from None
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise InputError(f"background {text!r} is ({red}, {green}, {blue}) as RGB; expected numbers from 0 to 255")
    if alpha and alpha[0] != 255:
        raise InputError(
            f"background {text!r} is not opaque; expected a colour without alpha (for a transparent background: "
            "output='cutout')"
        )
    return Background((red, green, blue) if color == "rgb" else (blue, green, red))


def _sigma(text: str, radius: str) -> float:
    try:
        sigma = float(radius)
    except ValueError:
        sigma = float("nan")
    if not 0 < sigma <= 1000:
        raise InputError(f"background {text!r}: the blur radius must be a number of pixels, above 0 and up to 1000")
    return sigma


def opaque(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours (h, w, 3) of a background image (h, w, 3 or 4). Raises `InputError` if its alpha is not all 255."""
    if (image[:, :, 3:] < 255).any():
        raise InputError(
            "the background image has transparent pixels; expected an opaque one (put it over a colour first; for a "
            "transparent background: output='cutout')"
        )
    return image[:, :, :3]


def _from_pil(image: Image, profile: bytes | None = None) -> NDArray[np.uint8]:
    """A PIL image, upright, as RGB (h, w, 3) in the values of a profile."""
    loaded = load_pil(image, "the background")
    return convert_pixels(opaque(loaded.pixels), loaded.icc_profile, profile, "the background")


def _three_bytes(value: Any) -> tuple[int, int, int]:
    if isinstance(value, (bytes, bytearray)):
        raise InputError(f"background is {value!r}; expected a str for a colour's name")
    try:
        numbers = [operator.index(part) for part in value]  # refuses fractions 0..1, which would become black
    except TypeError:
        numbers = []
    if len(numbers) != 3 or not all(0 <= number <= 255 for number in numbers):
        raise InputError(f"background is {value!r}; expected three numbers 0..255, an image (h, w, 3) or a string")
    return numbers[0], numbers[1], numbers[2]


def _cover(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scales an image (h, w, 3) to cover (height, width) and crops it around its centre."""
    _check_image(image)
    if image.strides[0] < 0 or image.strides[1:] != (3, 1):
        image = np.ascontiguousarray(image)
    if image.shape[:2] == (height, width):
        return image
    image = _without_far_ends(image, height, width)
    scale = max(height / image.shape[0], width / image.shape[1])
    tall = max(height, round(image.shape[0] * scale))
    wide = max(width, round(image.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    scaled = _core.resample(image, (tall, wide), "lanczos")
    return scaled[top : top + height, left : left + width]


def _check_image(image: NDArray[np.uint8]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"background has shape {image.shape} and dtype {image.dtype}; expected an image (h, w, 3) uint8"
        )


def _without_far_ends(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Crops an image of extreme shape, such as a line of pixels, before scaling would make it huge."""
    scale = max(height / image.shape[0], width / image.shape[1])
    if image.shape[0] * image.shape[1] * scale * scale <= _LARGEST_COVER:
        return image
    rows = min(image.shape[0], math.ceil(16 * height / scale))
    columns = min(image.shape[1], math.ceil(16 * width / scale))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]
